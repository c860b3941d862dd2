/*===- generate.c - Continue a text ---------------------------------------===*\
|*
|* Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* Usage: generate ARTIFACT PROMPT [MAX_TOKENS]
|*
|* Loads a compiled model and streams the continuation of a prompt. Everything
|* that the C interface needs is in this file.
|*
\*===----------------------------------------------------------------------===*/

#include <clade/runtime.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what) {
  fprintf(stderr, "generate: %s: %s\n", what, clade_last_error());
  return 1;
}

/* Prints text as soon as it is there. */
static int print_text(void *user, const CladeTokenEvent *event) {
  (void)user;
  fwrite(event->text, 1, event->text_length, stdout);
  fflush(stdout);
  return 0; /* go on */
}

/* The tokens of `text`; the caller frees them. NULL after a failure. */
static int32_t *tokenize(const CladeModel *model, const char *text,
                         size_t *count) {
  size_t length = strlen(text);
  int32_t *tokens;
  if (clade_tokenize(model, text, length, 1, NULL, 0, count) != CLADE_OK)
    return NULL;
  tokens = malloc((*count + 1) * sizeof(int32_t));
  if (tokens)
    clade_tokenize(model, text, length, 1, tokens, *count, count);
  return tokens;
}

static int generate(CladeModel *model, CladeSession *session,
                    const char *prompt, int64_t max_tokens) {
  CladeRequest request;
  CladeGeneration *generation = NULL;
  CladeStats stats;
  CladeStatus status;
  int32_t *tokens;

  CLADE_INIT(request);
  tokens = tokenize(model, prompt, &request.prompt_length);
  if (!tokens)
    return fail("cannot tokenize the prompt");
  request.prompt = tokens;
  request.max_tokens = max_tokens;
  request.want_text = 1;
  status = clade_generate(session, &request, 1, print_text, NULL, &generation);
  free(tokens);
  if (status != CLADE_OK)
    return fail("cannot generate");
  CLADE_INIT(stats);
  clade_generation_stats(generation, &stats);
  printf("\n");
  fprintf(stderr, "%.1f tokens/s for the prompt, %.1f after it\n",
          stats.prefill_tok_s, stats.decode_tok_s);
  clade_generation_free(generation);
  return 0;
}

int main(int argc, char **argv) {
  CladeModel *model = NULL;
  CladeSession *session = NULL;
  int result;

  if (argc < 3 || argc > 4) {
    fprintf(stderr, "usage: generate ARTIFACT PROMPT [MAX_TOKENS]\n");
    return 2;
  }
  if (clade_model_load(argv[1], NULL, &model) != CLADE_OK)
    return fail("cannot load the model");
  if (clade_session_create(model, NULL, &session) != CLADE_OK) {
    clade_model_free(model);
    return fail("cannot create a session");
  }
  result = generate(model, session, argv[2], argc == 4 ? atoll(argv[3]) : 32);
  clade_session_free(session);
  clade_model_free(model);
  return result;
}
