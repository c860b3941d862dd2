//===- Trace.h - What a family computes, step by step -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A symbolic run of the entries: blocks of families are followed by late
// binding, so that what is left are calls of built-ins and of standard blocks,
// in order, with the weights that they read. Branches that the configuration
// decides are all followed, and each step says when it is taken; where the
// values of fields are known, only the branches that are taken. Loops are
// followed once.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIFF_TRACE_H
#define CLADE_DIFF_TRACE_H

#include "lib/Import/FieldValues.h"

namespace clade::diff {

/// An argument that is no tensor, or a tensor of weights alone, as text.
struct Argument {
  std::string name, text;
  bool operator==(const Argument &) const = default;
};

/// One step: a call of a built-in or of a standard block, or an operator.
struct Step {
  std::string op;      ///< 'linear', 'rms_norm', '+'.
  std::string address; ///< What the names of its weights begin with, or empty.
  std::string entry;   ///< 'forward' or 'image'.
  bool inLayers = false;
  std::vector<Argument> arguments;
  std::vector<std::string> conditions; ///< All hold where it is taken.
  std::vector<unsigned> inputs;        ///< Steps, in order.

  /// 'q_proj', or the op of a step without weights of its own.
  std::string label() const;
};

struct Trace {
  std::vector<Step> steps;
  /// False if the family is too large to be followed to its end.
  bool isWhole = true;
};

/// Values of fields, where a configuration gives them.
struct KnownFields {
  import::FieldValues *values = nullptr; ///< Null: only what all agree on.
  std::optional<int64_t> layer;          ///< Of per-layer fields.
};

/// Follows the entries of a family that the checks accept.
Trace traceFamily(const import::Family &family, KnownFields known = {});

} // namespace clade::diff

#endif // CLADE_DIFF_TRACE_H
