/*===- ToyModel.h - Sizes of the tests' hand-written model --------*- C -*-===*\
|*
|* Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* A model that is small but has what the engine must get right: two kinds of
|* layers (full and windowed), fewer key/value heads than query heads, values
|* and keys of different sizes. ToyStep.c is its "compiled" step, ToyReference
|* the same function without pages, batches or threads.
|*
\*===----------------------------------------------------------------------===*/

#ifndef CLADE_TEST_ENGINE_TOYMODEL_H
#define CLADE_TEST_ENGINE_TOYMODEL_H

enum {
  TOY_VOCAB = 50,
  TOY_WIDTH = 12,
  TOY_HEADS = 4,
  TOY_KV_HEADS = 2,
  TOY_KEY_SIZE = 4,
  TOY_VALUE_SIZE = 3,
  TOY_LAYERS = 3,
  TOY_WINDOW = 40, /* of layers of kind 1 */

  /* Weight slots: three for the model, then four a layer. */
  TOY_EMBEDDING = 0, /* [vocab][width] */
  TOY_POSITION = 1,  /* [width] */
  TOY_OUTPUT = 2,    /* [vocab][width] */
  TOY_FIRST_LAYER = 3,
  TOY_QUERY = 0,      /* [heads * key size][width] */
  TOY_KEY = 1,        /* [kv heads * key size][width] */
  TOY_VALUE = 2,      /* [kv heads * value size][width] */
  TOY_PROJECTION = 3, /* [width][heads * value size] */
  TOY_LAYER_WEIGHTS = 4,
  TOY_SLOTS = TOY_FIRST_LAYER + TOY_LAYERS * TOY_LAYER_WEIGHTS,

  /* Bytes. */
  TOY_WORKSPACE_FIXED = 64,
  TOY_WORKSPACE_TOKEN = 4 * TOY_WIDTH,
  TOY_WORKSPACE_SELECTED = 4 * TOY_WIDTH,
  TOY_WORKSPACE_SEQUENCE = 4,
  TOY_SCRATCH_FIXED = 4 * TOY_HEADS * (TOY_KEY_SIZE + TOY_VALUE_SIZE),
  TOY_SCRATCH_CONTEXT = 4
};

#endif /* CLADE_TEST_ENGINE_TOYMODEL_H */
