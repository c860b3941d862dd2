/*===- CApiUse.c - The C interface from C99 -------------------------------===*\
|*
|* Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* Compiled as strict C99: the header must be, and a program must be able to do
|* without anything else.
|*
\*===----------------------------------------------------------------------===*/

#include "clade/runtime.h"

int clade_test_greedy(const char *artifact, const int32_t *prompt,
                      size_t length, int32_t *out, size_t count);

/** Greedy decoding with clade_step alone. Returns 0 or the line that failed. */
int clade_test_greedy(const char *artifact, const int32_t *prompt,
                      size_t length, int32_t *out, size_t count) {
  CladeModel *model = NULL;
  CladeSession *session = NULL;
  CladeModelInfo info;
  CladeSessionOptions options;
  CladeBatchItem item = {0, NULL, 0, NULL};
  size_t i, rows;
  const float *logits;

  CLADE_INIT(info);
  CLADE_INIT(options);
  options.threads = 2;
  if (clade_model_load(artifact, NULL, &model) != CLADE_OK)
    return __LINE__;
  if (clade_model_info(model, &info) != CLADE_OK)
    return __LINE__;
  if (clade_session_create(model, &options, &session) != CLADE_OK)
    return __LINE__;
  clade_model_free(model); /* the session keeps it */
  if (clade_sequence_create(session, 0, &item.sequence) != CLADE_OK)
    return __LINE__;
  item.tokens = prompt;
  item.num_tokens = length;
  for (i = 0; i < count; ++i) {
    int32_t token, best = 0;
    if (clade_step(session, &item, 1, &logits, &rows) != CLADE_OK || rows != 1)
      return __LINE__;
    for (token = 1; token < info.vocab; ++token)
      if (logits[token] > logits[best])
        best = token;
    out[i] = best;
    item.tokens = &out[i];
    item.num_tokens = 1;
  }
  clade_session_free(session);
  return 0;
}
