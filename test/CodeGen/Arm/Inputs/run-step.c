/*===- run-step.c - One step of compiled code, without the runtime ---------===*\
|*
|* Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* usage: run-step CODE.so < INPUT > LOGITS
|*
|* Calls clade_step_forward of a shared object on what step-input wrote, by one
|* thread, and writes the logits of the last token in f32.
|*
\*===----------------------------------------------------------------------===*/

#include "clade/abi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what) {
  fprintf(stderr, "run-step: %s\n", what);
  exit(1);
}

/* Zeroed memory at a multiple of 64. */
static void *make(size_t bytes) {
  size_t whole = (bytes + 64) / 64 * 64;
  void *memory = aligned_alloc(64, whole);
  if (!memory)
    fail("no memory");
  return memset(memory, 0, whole);
}

static void *take(size_t bytes) {
  void *memory = make(bytes);
  if (fread(memory, 1, bytes, stdin) != bytes)
    fail("the input ends early");
  return memory;
}

static int64_t takeNumber(void) {
  int64_t value;
  if (fread(&value, sizeof(value), 1, stdin) != 1)
    fail("the input ends early");
  return value;
}

static void barrier(void *state, int32_t thread) {
  (void)state;
  (void)thread;
}

static int32_t *count(int64_t number) {
  int32_t *values = make(number * sizeof(int32_t));
  for (int64_t i = 0; i < number; ++i)
    values[i] = (int32_t)i;
  return values;
}

static CladeKVState *takeStates(int64_t number) {
  CladeKVState *states = make(number * sizeof(*states));
  for (int64_t i = 0; i < number; ++i) {
    states[i].keys = make(takeNumber());
    states[i].values = make(takeNumber());
    states[i].pages_stride = (int32_t)takeNumber();
    states[i].pages = count(states[i].pages_stride);
  }
  return states;
}

int main(int argc, char **argv) {
  void *code = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
  if (!code)
    fail(argc == 2 ? dlerror() : "expected the path of a shared object");
  CladeStepFunction forward =
      (CladeStepFunction)dlsym(code, "clade_step_forward");
  if (!forward)
    fail("no clade_step_forward");
  CladeStep step = {0};
  step.struct_size = sizeof(step);
  step.abi_version = CLADE_ABI_VERSION;
  step.num_threads = step.num_sequences = step.num_selected = 1;
  int64_t tokens = takeNumber(), layers = takeNumber(), states = takeNumber(),
          weights = takeNumber(), width = takeNumber();
  step.num_tokens = (int32_t)tokens;
  step.num_layers = (int32_t)layers;
  step.workspace = make(takeNumber());
  step.scratch_bytes = (takeNumber() + 63) / 64 * 64;
  step.scratch = make(step.scratch_bytes);
  takeNumber(); /* pages */
  step.tokens = take(tokens * sizeof(int32_t));
  step.positions = count(tokens);
  step.sequence_of = make(tokens * sizeof(int32_t));
  int32_t ends[] = {0, (int32_t)tokens}, last = (int32_t)tokens - 1,
          length = (int32_t)tokens;
  step.first_token = ends;
  step.selected = &last;
  step.scaled_lengths = &length;
  step.layers = take(layers * sizeof(CladeLayer));
  step.states = takeStates(states);
  const void **table = make(weights * sizeof(void *));
  for (int64_t i = 0; i < weights; ++i)
    table[i] = take(takeNumber());
  step.weights = table;
  step.output = make(width * sizeof(float));
  step.barrier = barrier;
  forward(&step, 0);
  return fwrite(step.output, sizeof(float), width, stdout) == (size_t)width ? 0
                                                                            : 1;
}
