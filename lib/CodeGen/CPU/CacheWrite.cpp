//===- CacheWrite.cpp - Rows of the paged key/value cache -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Address arithmetic is 64 bits wide throughout: a state may exceed 4 GiB.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/CacheWrite.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"
#include "runtime/include/clade/abi.h"

using namespace mlir;

namespace clade::cpu {

Value emitPageTable(OpBuilder &builder, Location loc, Value state,
                    Value sequence) {
  KVStateView view(builder, loc, state);
  Value stride = emitToIndex(builder, loc, view.pagesStride());
  Value offset = emitMul(builder, loc, sequence, stride);
  return emitAddress(builder, loc, view.pages(), builder.getI32Type(), offset);
}

Value emitPageAddress(OpBuilder &builder, Location loc,
                      const CacheLayout &layout, Value array, Value pageTable,
                      Value entry, Value head) {
  Value number = emitLoad(builder, loc, builder.getI32Type(), pageTable, entry);
  Value page = emitToIndex(builder, loc, number);
  Value heads = emitIndex(builder, loc, layout.heads);
  Value block = emitAdd(builder, loc, emitMul(builder, loc, page, heads), head);
  Value elements = emitIndex(builder, loc, CLADE_PAGE_TOKENS * layout.size);
  return emitAddress(builder, loc, array, layout.elementType,
                     emitMul(builder, loc, block, elements));
}

Value emitCacheRowPointer(OpBuilder &builder, Location loc,
                          const CacheLayout &layout, Value state,
                          Value sequence, Value position, Value head,
                          bool isKey) {
  KVStateView view(builder, loc, state);
  Value array = isKey ? view.keys() : view.values();
  Value pageTable = emitPageTable(builder, loc, state, sequence);
  Value pageTokens = emitIndex(builder, loc, CLADE_PAGE_TOKENS);
  Value entry = arith::DivUIOp::create(builder, loc, position, pageTokens);
  Value slot = arith::RemUIOp::create(builder, loc, position, pageTokens);
  Value page =
      emitPageAddress(builder, loc, layout, array, pageTable, entry, head);
  Value size = emitIndex(builder, loc, layout.size);
  return emitAddress(builder, loc, page, layout.elementType,
                     emitMul(builder, loc, slot, size));
}

void emitCacheWrite(OpBuilder &builder, Location loc, const Target &target,
                    const CacheLayout &layout, Value row, RowSource source) {
  for (int64_t offset = 0; offset < layout.size; offset += target.width) {
    int64_t count = std::min(target.width, layout.size - offset);
    Value elements = source(offset, count);
    if (getElementTypeOrSelf(elements) != layout.elementType)
      elements = layout.elementType.isBF16()
                     ? emitRoundToBF16(builder, loc, elements)
                     : emitWiden(builder, loc, elements);
    emitStore(builder, loc, elements, row, emitIndex(builder, loc, offset));
  }
}

} // namespace clade::cpu
