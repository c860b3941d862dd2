/*===- abi.h - What compiled code and the runtime agree on --------*- C -*-===*\
|*
|* Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* The one header that both sides include: the code generator lays out its
|* loads by these structs, the runtime fills them. Plain data, natural
|* alignment, 64-bit pointers. Any change bumps CLADE_ABI_VERSION; both sides
|* check it, and the struct's own size, before the first call.
|*
\*===----------------------------------------------------------------------===*/

#ifndef CLADE_ABI_H
#define CLADE_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLADE_ABI_VERSION 9

/** Tokens in one page of a paged key/value state. */
#define CLADE_PAGE_TOKENS 32

/** One layer of the schedule: which function runs, on which weights, states. */
typedef struct CladeLayer {
  int32_t kind;         /**< index of the layer function */
  int32_t layer;        /**< index of the layer in the published model */
  int32_t first_weight; /**< the function's parameter i is weights[first_weight
                           + i] */
  int32_t first_state; /**< the function's state i is states[first_state + i] */
} CladeLayer;

/** One layer's keys and values. Page p holds, for each key/value head h, the
 *  rows of CLADE_PAGE_TOKENS tokens: keys[p][h][slot][key head size], and
 *  values[p][h][slot][value head size], in the state's dtype. A latent state
 *  has keys alone, whose rows begin with the values. */
typedef struct CladeKVState {
  void *keys;
  void *values; /**< null in a latent state */
  /** Row s, entry i: the page that holds tokens [i, i + 1) * CLADE_PAGE_TOKENS
   *  of sequence s. Entries that lie wholly before the window may be -1. */
  const int32_t *pages;
  int32_t pages_stride; /**< entries in a row of `pages` */
  int32_t reserved;
} CladeKVState;

/** One layer's state of a fixed size: a row of CladeStep.states of a kind whose
 *  sequences have one page each. */
typedef struct CladeRecurrentState {
  /** Page p is the bytes [p * bytes, (p + 1) * bytes), bytes as in the
   * manifest; all zero before the first token of the sequence that has it. */
  char *memory;
  void *unused;
  const int32_t *pages; /**< [num_sequences] the page of each sequence */
  int32_t pages_stride; /**< 1 */
  int32_t reserved;
} CladeRecurrentState;

/** One call of a compiled step: any mix of prefill and decode over several
 *  sequences. Tokens of one sequence are adjacent and in order. */
typedef struct CladeStep {
  uint32_t struct_size; /**< sizeof(CladeStep) */
  uint32_t abi_version; /**< CLADE_ABI_VERSION */
  int32_t num_threads;
  int32_t num_tokens;    /**< >= 1 */
  int32_t num_sequences; /**< >= 1 */
  int32_t num_selected;  /**< tokens whose output is wanted; may be 0 */
  int32_t num_layers;
  int32_t reserved;
  const int32_t *tokens; /**< [num_tokens] token ids */
  const int32_t
      *positions; /**< [num_tokens] place in its own sequence, from 0 */
  const int32_t
      *sequence_of; /**< [num_tokens] row of its sequence in this step */
  const int32_t
      *first_token;        /**< [num_sequences + 1] row s has the tokens
                                [first_token[s], first_token[s + 1]); at least one */
  const int32_t *selected; /**< [num_selected] indices into tokens, ascending */
  const int32_t
      *scaled_lengths;        /**< [num_sequences] length that length-dependent
                                   rotary scalings are fixed for */
  const CladeLayer *layers;   /**< [num_layers] */
  const void *const *weights; /**< all weight rows, in compiled layout */
  const CladeKVState *states; /**< all state rows; those of recurrent states
                                   are CladeRecurrentState, of the same size */
  float *output;              /**< [num_selected][output width] */
  char *workspace; /**< shared by the threads; manifest.workspace gives its
                      size; 64-byte aligned */
  char *scratch; /**< thread t owns [t * scratch_bytes, (t + 1) * scratch_bytes)
                  */
  int64_t scratch_bytes;
  /** Returns when all num_threads threads have called it; everything written
   *  before it is visible after it. */
  void (*barrier)(void *barrier_state, int32_t thread);
  void *barrier_state;
  /** Called by thread 0 of code that was compiled to be traced, with each
   *  result of each kernel, in the order of computation; never by other code.
   *  The values [rows][width] are in the result's dtype, those of the last
   *  kernel in f32. */
  void (*trace)(void *trace_state, const void *values, int64_t bytes);
  void *trace_state;
  /** Unless null, called for each token in each layer with routed experts, by
   *  any thread: `token` chose `count` of `num_experts` experts. It may write
   *  others, in [0, num_experts), which then count. */
  void (*route)(void *route_state, int32_t layer, int32_t token,
                int32_t *experts, int32_t count, int32_t num_experts);
  void *route_state;
  /** Only of an entry for images, whose tokens are patches and whose sequences
   *  are images. [num_tokens][width], as the manifest says. */
  const float *pixels;
  const int32_t *grids; /**< [num_sequences][2] rows and columns of patches */
  /** Only of an entry for text of a model with images: rows that the entry for
   *  images gave, and for each token its row, or -1 for a token that is no
   *  part of an image. */
  const float *media;
  const int32_t *media_rows; /**< [num_tokens] */
  /** [num_tokens][3] time, row and column, if the manifest says that positions
   *  of tokens have these. */
  const int32_t *media_positions;
  /** Only of code with places for adapters: [num_tokens] the place of the
   *  adapter of its sequence, in [0, places]; 0 is none. */
  const int32_t *adapters;
  /** [num_tokens] the type of each token, in [0, types) of the manifest; only
   *  where there are types. */
  const int32_t *token_types;
} CladeStep;

/** A compiled entry: every one of num_threads threads calls it with its own
 *  number in [0, num_threads) and the same step. */
typedef void (*CladeStepFunction)(const CladeStep *step, int32_t thread);

#ifdef __cplusplus
}
#endif

#endif /* CLADE_ABI_H */
