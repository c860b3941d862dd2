//===- CladeOps.td - All ops of the compute dialect --------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_CLADE_OPS_TD
#define CLADE_DIALECT_CLADE_OPS_TD

include "dialect/Clade/AttentionOps.td"
include "dialect/Clade/ElementwiseOps.td"
include "dialect/Clade/ExpertOps.td"
include "dialect/Clade/MediaOps.td"
include "dialect/Clade/PositionOps.td"
include "dialect/Clade/ProductOps.td"
include "dialect/Clade/RecurrentOps.td"
include "dialect/Clade/ReductionOps.td"
include "dialect/Clade/SelectionOps.td"
include "dialect/Clade/ShapeOps.td"
include "dialect/Clade/StructureOps.td"

#endif // CLADE_DIALECT_CLADE_OPS_TD
