//===- CApiText.cpp - Text and tokens for C -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Both directions say how much there is, and write as much as there is room.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/CApi.h"

using namespace clade::rt;
using namespace clade::rt::capi;

namespace {

template <typename T, typename List>
void copyOut(const List &list, T *out, size_t capacity, size_t *count) {
  *count = list.size();
  std::copy_n(list.data(), std::min(list.size(), capacity), out);
}

} // namespace

CladeStatus clade_tokenize(const CladeModel *model, const char *text,
                           size_t length, int32_t add_special, int32_t *tokens,
                           size_t capacity, size_t *count) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(model, "model"));
    CLADE_RETURN_IF_ERROR(checkPointer(count, "count"));
    if (length > 0)
      CLADE_RETURN_IF_ERROR(checkPointer(text, "text"));
    if (capacity > 0)
      CLADE_RETURN_IF_ERROR(checkPointer(tokens, "tokens"));
    CLADE_ASSIGN_OR_RETURN(const Tokenizer *tokenizer,
                           model->model->tokenizer());
    CLADE_ASSIGN_OR_RETURN(auto ids,
                           tokenizer->encode({text, length}, add_special != 0));
    copyOut(ids, tokens, capacity, count);
    return {};
  });
}

CladeStatus clade_detokenize(const CladeModel *model, const int32_t *tokens,
                             size_t count, int32_t skip_special, char *text,
                             size_t capacity, size_t *length) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(model, "model"));
    CLADE_RETURN_IF_ERROR(checkPointer(length, "length"));
    if (count > 0)
      CLADE_RETURN_IF_ERROR(checkPointer(tokens, "tokens"));
    if (capacity > 0)
      CLADE_RETURN_IF_ERROR(checkPointer(text, "text"));
    CLADE_ASSIGN_OR_RETURN(const Tokenizer *tokenizer,
                           model->model->tokenizer());
    CLADE_ASSIGN_OR_RETURN(
        std::string decoded,
        tokenizer->decode({tokens, count}, skip_special != 0));
    copyOut(decoded, text, capacity, length);
    return {};
  });
}
