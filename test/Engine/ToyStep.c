/*===- ToyStep.c - The tests' hand-written compiled step ------------------===*\
|*
|* Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* What a code generator would emit for the model of ToyModel.h: every thread
|* runs it, tokens are dealt out in turn, barriers lie between phases that read
|* what others wrote. It uses all of the workspace and scratch it asks for.
|*
\*===----------------------------------------------------------------------===*/

#include "ToyModel.h"
#include "clade/abi.h"

#include <math.h>
#include <string.h>

__attribute__((visibility("default"))) const int32_t clade_abi_version =
    CLADE_ABI_VERSION;

typedef struct Workspace {
  float *x;        /* [tokens][width] */
  float *selected; /* [selected][width] */
  float *bias;     /* [sequences] */
} Workspace;

static Workspace layOut(const CladeStep *step) {
  Workspace w;
  w.x = (float *)(step->workspace + TOY_WORKSPACE_FIXED);
  w.selected = w.x + (size_t)step->num_tokens * TOY_WIDTH;
  w.bias = w.selected + (size_t)step->num_selected * TOY_WIDTH;
  return w;
}

static float dot(const float *row, const float *x, int n) {
  float sum = 0;
  for (int i = 0; i < n; ++i)
    sum += row[i] * x[i];
  return sum;
}

static const float *weight(const CladeStep *step, int32_t slot) {
  return (const float *)step->weights[slot];
}

/* The row of `position` in a page of head `head`. */
static float *rowOf(void *pool, int32_t page, int head, int position,
                    int size) {
  size_t slot = (size_t)position % CLADE_PAGE_TOKENS;
  return (float *)pool +
         (((size_t)page * TOY_KV_HEADS + head) * CLADE_PAGE_TOKENS + slot) *
             size;
}

static int32_t pageOf(const CladeKVState *state, int sequence, int position) {
  return state->pages[(size_t)sequence * state->pages_stride +
                      position / CLADE_PAGE_TOKENS];
}

static void embed(const CladeStep *step, Workspace w, int t) {
  const float *row =
      weight(step, TOY_EMBEDDING) + (size_t)step->tokens[t] * TOY_WIDTH;
  const float *place = weight(step, TOY_POSITION);
  float bias = w.bias[step->sequence_of[t]];
  for (int i = 0; i < TOY_WIDTH; ++i)
    w.x[t * TOY_WIDTH + i] =
        row[i] + sinf(place[i] * (float)step->positions[t]) + bias;
}

static void writeState(const CladeStep *step, const CladeLayer *layer,
                       Workspace w, int t) {
  const CladeKVState *state = &step->states[layer->first_state];
  const float *key = weight(step, layer->first_weight + TOY_KEY);
  const float *value = weight(step, layer->first_weight + TOY_VALUE);
  const float *x = w.x + t * TOY_WIDTH;
  int position = step->positions[t];
  int32_t page = pageOf(state, step->sequence_of[t], position);
  for (int h = 0; h < TOY_KV_HEADS; ++h) {
    float *k = rowOf(state->keys, page, h, position, TOY_KEY_SIZE);
    for (int i = 0; i < TOY_KEY_SIZE; ++i)
      k[i] = dot(key + (h * TOY_KEY_SIZE + i) * TOY_WIDTH, x, TOY_WIDTH);
    float *v = rowOf(state->values, page, h, position, TOY_VALUE_SIZE);
    for (int i = 0; i < TOY_VALUE_SIZE; ++i)
      v[i] = dot(value + (h * TOY_VALUE_SIZE + i) * TOY_WIDTH, x, TOY_WIDTH);
  }
}

/* One head over positions [begin, end]; `scores` has a place per position. */
static void attend(const CladeStep *step, const CladeKVState *state,
                   int sequence, int head, const float *q, int begin, int end,
                   float *scores, float *out) {
  int kv = head / (TOY_HEADS / TOY_KV_HEADS);
  float sum = 0;
  for (int p = begin; p <= end; ++p) {
    const float *k =
        rowOf(state->keys, pageOf(state, sequence, p), kv, p, TOY_KEY_SIZE);
    scores[p] = expf(tanhf(dot(k, q, TOY_KEY_SIZE)));
    sum += scores[p];
  }
  memset(out, 0, TOY_VALUE_SIZE * sizeof(float));
  for (int p = begin; p <= end; ++p) {
    const float *v =
        rowOf(state->values, pageOf(state, sequence, p), kv, p, TOY_VALUE_SIZE);
    for (int i = 0; i < TOY_VALUE_SIZE; ++i)
      out[i] += scores[p] / sum * v[i];
  }
}

static void runLayer(const CladeStep *step, const CladeLayer *layer,
                     Workspace w, float *scratch, int t) {
  const CladeKVState *state = &step->states[layer->first_state];
  const float *query = weight(step, layer->first_weight + TOY_QUERY);
  const float *projection = weight(step, layer->first_weight + TOY_PROJECTION);
  float *q = scratch;
  float *out = q + TOY_HEADS * TOY_KEY_SIZE;
  float *scores = out + TOY_HEADS * TOY_VALUE_SIZE;
  float *x = w.x + t * TOY_WIDTH;
  int end = step->positions[t];
  int begin = layer->kind == 1 && end >= TOY_WINDOW ? end - TOY_WINDOW + 1 : 0;
  for (int i = 0; i < TOY_HEADS * TOY_KEY_SIZE; ++i)
    q[i] = dot(query + i * TOY_WIDTH, x, TOY_WIDTH);
  for (int h = 0; h < TOY_HEADS; ++h)
    attend(step, state, step->sequence_of[t], h, q + h * TOY_KEY_SIZE, begin,
           end, scores, out + h * TOY_VALUE_SIZE);
  for (int i = 0; i < TOY_WIDTH; ++i)
    x[i] += tanhf(dot(projection + i * TOY_HEADS * TOY_VALUE_SIZE, out,
                      TOY_HEADS * TOY_VALUE_SIZE));
}

static void writeLogits(const CladeStep *step, Workspace w, int s) {
  float *x = w.selected + s * TOY_WIDTH;
  memcpy(x, w.x + step->selected[s] * TOY_WIDTH, TOY_WIDTH * sizeof(float));
  const float *output = weight(step, TOY_OUTPUT);
  for (int i = 0; i < TOY_VOCAB; ++i)
    step->output[(size_t)s * TOY_VOCAB + i] =
        dot(output + i * TOY_WIDTH, x, TOY_WIDTH);
}

__attribute__((visibility("default"))) void
clade_step_forward(const CladeStep *step, int32_t thread) {
  Workspace w = layOut(step);
  float *scratch = (float *)(step->scratch + thread * step->scratch_bytes);
  int n = step->num_threads;
  if (thread == 0)
    memset(step->workspace, 0xff, TOY_WORKSPACE_FIXED);
  for (int s = thread; s < step->num_sequences; s += n)
    w.bias[s] = (float)step->scaled_lengths[s] / 1024;
  step->barrier(step->barrier_state, thread);
  for (int t = thread; t < step->num_tokens; t += n)
    embed(step, w, t);
  for (int l = 0; l < step->num_layers; ++l) {
    /* Tokens keep their thread, so only the state needs a barrier. */
    for (int t = thread; t < step->num_tokens; t += n)
      writeState(step, &step->layers[l], w, t);
    step->barrier(step->barrier_state, thread);
    for (int t = thread; t < step->num_tokens; t += n)
      runLayer(step, &step->layers[l], w, scratch, t);
  }
  step->barrier(step->barrier_state, thread);
  for (int s = thread; s < step->num_selected; s += n)
    writeLogits(step, w, s);
}
