/*===- StateUse.c - Copies and cuts sequences of a compiled model ---------===*\
|*
|* Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* Usage: clade-state-use ARTIFACT
|*
|* Through the C interface alone: a sequence that is copied and goes on in two
|* ways, cut back and goes on in another, and given back, must have the very
|* logits of sequences made from scratch by the same steps. A line for each;
|* what the states of a model do not allow says so.
|*
\*===----------------------------------------------------------------------===*/

#include "clade/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer than windows of 16 tokens and than some pages. */
enum { PROMPT = 200, MORE = 9, HALF = 4, ROUNDS = 300 };

typedef struct {
  CladeSession *session;
  size_t width;
  int32_t prompt[PROMPT], left[MORE], right[MORE];
} Run;

static void must(CladeStatus status, int line) {
  if (status == CLADE_OK)
    return;
  printf("line %d: %s\n", line, clade_last_error());
  exit(1);
}
#define MUST(call) must(call, __LINE__)

static CladeSequence create(Run *run) {
  CladeSequence sequence;
  MUST(clade_sequence_create(run->session, 256, &sequence));
  return sequence;
}

static CladeSequence copy_of(Run *run, CladeSequence sequence) {
  CladeSequence copy;
  MUST(clade_sequence_copy(run->session, sequence, &copy));
  return copy;
}

/** Appends tokens in one step; the last one's logits go to `logits`. */
static void append(Run *run, CladeSequence sequence, const int32_t *tokens,
                   size_t count, float *logits) {
  CladeBatchItem item = {0, NULL, 0, NULL};
  const float *rows;
  size_t num_rows;
  item.sequence = sequence;
  item.tokens = tokens;
  item.num_tokens = count;
  MUST(clade_step(run->session, &item, 1, &rows, &num_rows));
  if (num_rows != 1) {
    printf("expected one row of logits, got %d\n", (int)num_rows);
    exit(1);
  }
  memcpy(logits, rows, run->width * sizeof(float));
}

/** [PROMPT's last, MORE] logits of a sequence made from scratch. */
static float *from_scratch(Run *run, const int32_t *more) {
  float *logits = malloc((1 + MORE) * run->width * sizeof(float));
  CladeSequence sequence = create(run);
  size_t i;
  append(run, sequence, run->prompt, PROMPT, logits);
  for (i = 0; i < MORE; ++i)
    append(run, sequence, more + i, 1, logits + (1 + i) * run->width);
  MUST(clade_sequence_free(run->session, sequence));
  return logits;
}

/** Appends token i of `more`; whether the logits are those from scratch. */
static int agrees(Run *run, CladeSequence sequence, const int32_t *more,
                  size_t i, const float *expected) {
  float *logits = malloc(run->width * sizeof(float));
  int equal;
  append(run, sequence, more + i, 1, logits);
  equal = memcmp(logits, expected + (1 + i) * run->width,
                 run->width * sizeof(float)) == 0;
  free(logits);
  return equal;
}

static void tell(const char *what, int equal) {
  printf("%s: %s\n", what, equal ? "equal" : "DIFFERENT");
}

static void check_copies(Run *run, const float *left, const float *right) {
  float *logits = malloc(run->width * sizeof(float));
  CladeSequence a = create(run), b, c;
  int equal = 1, second = 1;
  size_t i;
  append(run, a, run->prompt, PROMPT, logits);
  b = copy_of(run, a);
  for (i = 0; i < HALF; ++i) {
    equal &= agrees(run, a, run->left, i, left);
    equal &= agrees(run, b, run->right, i, right);
  }
  /* The copy of a copy lives longer than both. */
  c = copy_of(run, b);
  for (; i < MORE; ++i) {
    equal &= agrees(run, a, run->left, i, left);
    equal &= agrees(run, b, run->right, i, right);
  }
  MUST(clade_sequence_free(run->session, a));
  MUST(clade_sequence_free(run->session, b));
  for (i = HALF; i < MORE; ++i)
    second &= agrees(run, c, run->right, i, right);
  MUST(clade_sequence_free(run->session, c));
  tell("copy", equal);
  tell("copy of a copy", second);
  if (clade_sequence_free(run->session, c) == CLADE_OK)
    printf("a sequence was freed twice\n");
  free(logits);
}

/** Cuts a sequence back to `length` and goes on from there on the right. */
static void check_cut(Run *run, int64_t length, const float *right) {
  float *logits = malloc(run->width * sizeof(float));
  CladeSequence sequence = create(run);
  int64_t now = -1;
  int equal = 1;
  size_t i;
  append(run, sequence, run->prompt, PROMPT, logits);
  for (i = 0; i < MORE; ++i)
    append(run, sequence, run->left + i, 1, logits);
  if (clade_sequence_truncate(run->session, sequence, length) != CLADE_OK) {
    printf("cut to %d: %s\n", (int)length, clade_last_error());
    /* Nothing has changed. */
    MUST(clade_sequence_length(run->session, sequence, &now));
    if (now != PROMPT + MORE)
      printf("the length is %d\n", (int)now);
  } else {
    MUST(clade_sequence_length(run->session, sequence, &now));
    equal &= now == length;
    if (length == 0) {
      append(run, sequence, run->prompt, PROMPT, logits);
      equal &= memcmp(logits, right, run->width * sizeof(float)) == 0;
    }
    for (i = 0; i < MORE; ++i)
      equal &= agrees(run, sequence, run->right, i, right);
    printf("cut to %d: %s\n", (int)length, equal ? "equal" : "DIFFERENT");
  }
  MUST(clade_sequence_free(run->session, sequence));
  free(logits);
}

/** Cuts into the prompt, appends the rest of it anew, and goes on from there.
 * In steps of other sizes sums may round otherwise. */
static void check_early_cut(Run *run, int64_t length, const float *right) {
  float *logits = malloc(run->width * sizeof(float));
  float largest = 0, worst = 0;
  CladeSequence sequence = create(run);
  size_t i;
  append(run, sequence, run->prompt, PROMPT, logits);
  if (clade_sequence_truncate(run->session, sequence, length) != CLADE_OK) {
    printf("cut to %d: %s\n", (int)length, clade_last_error());
  } else {
    append(run, sequence, run->prompt + length, (size_t)(PROMPT - length),
           logits);
    for (i = 0; i < run->width; ++i) {
      float value = right[i] < 0 ? -right[i] : right[i];
      float error =
          logits[i] < right[i] ? right[i] - logits[i] : logits[i] - right[i];
      largest = value > largest ? value : largest;
      worst = error > worst ? error : worst;
    }
    printf("cut to %d: %s\n", (int)length,
           worst < 1e-5f * largest ? "close" : "DIFFERENT");
  }
  MUST(clade_sequence_free(run->session, sequence));
  free(logits);
}

/** More sequences, one after the other, than there is memory for at once. */
static void check_memory(Run *run, const float *left) {
  int equal = 1, full = 0;
  size_t i, held = 0;
  CladeSequence *sequences = malloc(ROUNDS * sizeof(CladeSequence));
  float *logits = malloc(run->width * sizeof(float));
  for (i = 0; i < ROUNDS; ++i) {
    CladeSequence sequence = create(run);
    append(run, sequence, run->prompt, PROMPT, logits);
    equal &= memcmp(logits, left, run->width * sizeof(float)) == 0;
    MUST(clade_sequence_free(run->session, sequence));
  }
  tell("given back", equal);
  for (; held < ROUNDS && !full; ++held) {
    CladeBatchItem item = {0, NULL, 0, NULL};
    const float *rows;
    size_t num_rows;
    sequences[held] = create(run);
    item.sequence = sequences[held];
    item.tokens = run->prompt;
    item.num_tokens = PROMPT;
    full = clade_step(run->session, &item, 1, &rows, &num_rows) ==
           CLADE_RESOURCE_EXHAUSTED;
  }
  printf("kept: %s\n", full ? "no more memory" : "all of them");
  while (held > 0)
    MUST(clade_sequence_free(run->session, sequences[--held]));
  free(sequences);
  free(logits);
}

int main(int argc, char **argv) {
  CladeModel *model = NULL;
  CladeModelInfo info;
  CladeSessionOptions options;
  Run run;
  float *left, *right;
  int i;
  if (argc != 2)
    return 2;
  CLADE_INIT(info);
  CLADE_INIT(options);
  options.threads = 2;
  options.cache_bytes = 8 << 20;
  MUST(clade_model_load(argv[1], NULL, &model));
  MUST(clade_model_info(model, &info));
  MUST(clade_session_create(model, &options, &run.session));
  clade_model_free(model);
  run.width = (size_t)info.logits_width;
  for (i = 0; i < PROMPT; ++i)
    run.prompt[i] = (i * 37 + 11) % 200 + 20;
  for (i = 0; i < MORE; ++i) {
    run.left[i] = (i * 29 + 3) % 200 + 20;
    run.right[i] = (i * 31 + 7) % 200 + 20;
  }
  left = from_scratch(&run, run.left);
  right = from_scratch(&run, run.right);
  check_copies(&run, left, right);
  check_cut(&run, PROMPT, right);
  check_early_cut(&run, 20, right);
  check_cut(&run, 0, right);
  check_memory(&run, left);
  free(left);
  free(right);
  clade_session_free(run.session);
  return 0;
}
