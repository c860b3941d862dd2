/*===- runtime.h - Running compiled models ------------------------*- C -*-===*\
|*
|* Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* The C interface of Clade's runtime, for C99 and anything that can call C.
|*
|* A CladeModel is an artifact of the compiler together with its weights. A
|* CladeSession runs it: it has threads, a cache of keys and values, and any
|* number of sequences. clade_generate continues prompts; clade_step is the
level
|* below: tokens in, logits out, for any mix of sequences.
|*
|* Errors. Functions that can fail return a CladeStatus; when it is not
CLADE_OK,
|* clade_last_error() tells more, and nothing was written to out parameters
|* unless the function says so. Nothing throws, aborts or exits.
|*
|* Threads. A model may be used from any number of threads. A session, and what
|* belongs to it, from one at a time; clade_session_cancel may be called from
|* any thread.
|*
|* Versions. Structs begin with their size, so that later versions can add
|* members at the end: initialise them with CLADE_INIT. Zero is the default of
|* every member. CLADE_API_VERSION counts changes that break callers.
|*
\*===----------------------------------------------------------------------===*/

#ifndef CLADE_RUNTIME_H
#define CLADE_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define CLADE_API __attribute__((visibility("default")))
#else
#define CLADE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define CLADE_API_VERSION 1

/** The CLADE_API_VERSION that the library was built with. */
CLADE_API int32_t clade_api_version(void);

/** Makes `object`, a struct that begins with its size, all defaults:
 *  CladeSessionOptions options; CLADE_INIT(options); */
#define CLADE_INIT(object)                                                     \
  do {                                                                         \
    unsigned char *clade_bytes = (unsigned char *)&(object);                   \
    for (size_t clade_i = 0; clade_i < sizeof(object); ++clade_i)              \
      clade_bytes[clade_i] = 0;                                                \
    (object).struct_size = sizeof(object);                                     \
  } while (0)

/*===-- Errors ------------------------------------------------------------===*/

typedef enum CladeStatus {
  CLADE_OK = 0,
  CLADE_INVALID_ARGUMENT = 1, /**< the call makes no sense */
  CLADE_NOT_FOUND = 2,        /**< a file, tensor or key does not exist */
  CLADE_CORRUPTION = 3,       /**< a file contradicts itself or its format */
  CLADE_IO_ERROR = 4,         /**< the operating system refused */
  CLADE_UNSUPPORTED = 5, /**< well formed, but not for this version or CPU */
  CLADE_RESOURCE_EXHAUSTED = 6, /**< a budget or the memory is used up */
  CLADE_CANCELLED = 7           /**< clade_session_cancel was called */
} CladeStatus;

/** The message of the calling thread's last call that failed; "" if none did.
 *  Valid until this thread's next call that fails. */
CLADE_API const char *clade_last_error(void);

/** The name of a CladeStatus, such as "invalid argument"; "unknown status" for
 *  any other number. Never NULL. */
CLADE_API const char *clade_status_name(int status);

/*===-- Models ------------------------------------------------------------===*/

typedef struct CladeModel CladeModel;

typedef struct CladeModelOptions {
  size_t struct_size;
  const char *checkpoint; /**< read weights from here; NULL: from where the
                               artifact says */
  int32_t threads;        /**< that read weights; 0: one per processor */
  int32_t verify_weights; /**< 1: read all packed weights and compare their
                               hashes, which takes as long as reading them;
                               CLADE_INVALID_ARGUMENT if the artifact holds
                               none */
} CladeModelOptions;

typedef struct CladeModelInfo {
  size_t struct_size;
  int32_t vocab;            /**< tokens are in [0, vocab) */
  int32_t bos;              /**< token that begins a text, or -1 */
  int64_t max_positions;    /**< longest sequence, or 0 for no limit */
  int32_t has_tokenizer;    /**< 1 if clade_tokenize works */
  int32_t length_dependent; /**< 1 if clade_sequence_create needs a length */
  const char *family;       /**< valid as long as the model */
  const char *architecture; /**< valid as long as the model */
  double load_seconds;      /**< what clade_model_load took */
  int32_t logits_width;     /**< values in a row of logits */
} CladeModelInfo;

/** Loads the artifact in the directory `path` and its weights. `options` may be
 *  NULL. Everything in the artifact is checked first: CLADE_CORRUPTION for
 *  damage, CLADE_UNSUPPORTED for another version or a CPU without what the code
 *  needs. */
CLADE_API CladeStatus clade_model_load(const char *path,
                                       const CladeModelOptions *options,
                                       CladeModel **model);

/** Gives the caller's reference up; sessions keep theirs. NULL is fine. */
CLADE_API void clade_model_free(CladeModel *model);

/** Fills in `info`, of which struct_size must be set. */
CLADE_API CladeStatus clade_model_info(const CladeModel *model,
                                       CladeModelInfo *info);

/*===-- Text --------------------------------------------------------------===*/

/** Turns `length` bytes of UTF-8 into tokens. With `add_special`, those that
 * the tokenizer adds to a prompt (such as the one that begins a text) are
 * added. Writes at most `capacity` tokens and always sets *count to how many
 * there are: call again with more room if it is above `capacity`.
 * CLADE_NOT_FOUND if the model has no tokenizer. */
CLADE_API CladeStatus clade_tokenize(const CladeModel *model, const char *text,
                                     size_t length, int32_t add_special,
                                     int32_t *tokens, size_t capacity,
                                     size_t *count);

/** Turns tokens into UTF-8, without a terminating zero. With `skip_special`,
 *  tokens that are not text leave nothing. Writes at most `capacity` bytes and
 *  always sets *length to how many there are. */
CLADE_API CladeStatus clade_detokenize(const CladeModel *model,
                                       const int32_t *tokens, size_t count,
                                       int32_t skip_special, char *text,
                                       size_t capacity, size_t *length);

/*===-- Sessions and sequences --------------------------------------------===*/

typedef struct CladeSession CladeSession;

/** A sequence of a session; never 0, and not used again after it is freed. */
typedef uint64_t CladeSequence;

typedef struct CladeSessionOptions {
  size_t struct_size;
  int32_t threads;      /**< 0: one per processor */
  int32_t chunk;        /**< tokens of a sequence that one call of the compiled
                             code gets; longer inputs are cut. 0: 512 */
  uint64_t cache_bytes; /**< budget of keys and values; 0: half of the memory
                           that is available */
  int64_t max_context;  /**< longest sequence; 0: the model's limit */
} CladeSessionOptions;

/** `options` may be NULL. */
CLADE_API CladeStatus clade_session_create(CladeModel *model,
                                           const CladeSessionOptions *options,
                                           CladeSession **session);

/** Frees the session with all its sequences. NULL is fine. */
CLADE_API void clade_session_free(CladeSession *session);

/** Makes the running and all later calls of clade_step and clade_generate end
 *  soon with CLADE_CANCELLED, until clade_session_clear_cancel. */
CLADE_API void clade_session_cancel(CladeSession *session);
CLADE_API void clade_session_clear_cancel(CladeSession *session);

/** Makes an empty sequence. Models whose rotary angles depend on the length of
 *  the text (length_dependent) need the length that they are fixed for: that of
 *  the prompt and of what is to come. Others ignore it. */
CLADE_API CladeStatus clade_sequence_create(CladeSession *session,
                                            int64_t scaled_length,
                                            CladeSequence *sequence);

CLADE_API CladeStatus clade_sequence_free(CladeSession *session,
                                          CladeSequence sequence);

/** Makes a new sequence with the tokens of another, which can then be continued
 *  in two ways. CLADE_RESOURCE_EXHAUSTED if there is no memory for it. */
CLADE_API CladeStatus clade_sequence_copy(CladeSession *session,
                                          CladeSequence sequence,
                                          CladeSequence *copy);

/** Sets *length to the number of tokens that the sequence has. */
CLADE_API CladeStatus clade_sequence_length(const CladeSession *session,
                                            CladeSequence sequence,
                                            int64_t *length);

/** Drops the tokens from position `length` on. CLADE_INVALID_ARGUMENT if there
 *  are fewer, or if a layer with a window would need keys that it gave up. A
 *  model with recurrent states only goes back to 0 tokens. */
CLADE_API CladeStatus clade_sequence_truncate(CladeSession *session,
                                              CladeSequence sequence,
                                              int64_t length);

/** Loads a LoRA adapter, a directory in PEFT's form, beside the weights of an
 *  artifact that was compiled with --adapter-slots; *adapter is its number,
 * from
 *  1. CLADE_UNSUPPORTED for an artifact without places or an adapter of what
 * has none, CLADE_RESOURCE_EXHAUSTED if all places are taken. */
CLADE_API CladeStatus clade_session_load_adapter(CladeSession *session,
                                                 const char *path,
                                                 int32_t *adapter);

/** Tokens that the sequence gets from now on are computed with this adapter; 0
 *  is none, which new sequences have. Sequences of one batch may differ. */
CLADE_API CladeStatus clade_sequence_set_adapter(CladeSession *session,
                                                 CladeSequence sequence,
                                                 int32_t adapter);

/** New tokens of one sequence. */
typedef struct CladeBatchItem {
  CladeSequence sequence;
  const int32_t *tokens;
  size_t num_tokens;     /**< at least 1 */
  const uint8_t *wanted; /**< [num_tokens], not 0: the logits after this token
                              are wanted. NULL: after the last one only */
} CladeBatchItem;

/** Appends the tokens of each item to its sequence. *logits becomes an array
 *  [*rows][logits_width], the wanted tokens in order, valid until the next
 *  call with this session. After CLADE_RESOURCE_EXHAUSTED or CLADE_CANCELLED
 *  sequences may have got some of their tokens: see clade_sequence_length. */
CLADE_API CladeStatus clade_step(CladeSession *session,
                                 const CladeBatchItem *items, size_t num_items,
                                 const float **logits, size_t *rows);

/*===-- Generation --------------------------------------------------------===*/

/** A text to continue. Filters apply in the order of the members. All requests
 *  of one call have the same struct_size. */
typedef struct CladeRequest {
  size_t struct_size;
  const int32_t *prompt; /**< at least one token; not NULL */
  size_t prompt_length;
  int64_t max_tokens;         /**< 0: 16 */
  const int32_t *stop_tokens; /**< end the text, beside the model's own */
  size_t num_stop_tokens;
  int32_t ignore_eos; /**< 1: the model's own tokens do not end the text */
  int32_t log_probabilities; /**< 1: compute those of the chosen tokens */
  int32_t want_text;         /**< 1: give the callback text as well as tokens */
  float repetition_penalty;  /**< 0 or 1: off */
  float temperature;         /**< 0: the most probable token, always */
  int32_t top_k;             /**< 0: off */
  float top_p;               /**< 0 or 1: off */
  float min_p;               /**< 0: off */
  uint64_t seed;             /**< the same seed gives the same tokens */
  int32_t adapter;           /**< see clade_sequence_set_adapter; 0: none */
  int32_t reserved;
} CladeRequest;

typedef enum CladeStopReason {
  CLADE_STOP_MAX_TOKENS = 0,
  CLADE_STOP_TOKEN = 1,   /**< the last token is a stop token */
  CLADE_STOP_CONTEXT = 2, /**< the sequence is as long as the session allows */
  CLADE_STOP_CALLBACK = 3 /**< the callback said so */
} CladeStopReason;

/** A token that was just chosen. */
typedef struct CladeTokenEvent {
  size_t struct_size;
  size_t request; /**< index of its request */
  int32_t token;
  float log_probability; /**< if asked for */
  const char *text;      /**< text that became certain with this token, whole
                              characters, not zero terminated; NULL if not asked
                              for */
  size_t text_length;
  int32_t is_last; /**< 1 for the request's last token */
} CladeTokenEvent;

/** Returns 0 to go on, anything else to end the request. The event is valid
 *  during the call. */
typedef int (*CladeTokenCallback)(void *user, const CladeTokenEvent *event);

/** What clade_generate made. */
typedef struct CladeGeneration CladeGeneration;

typedef struct CladeStats {
  size_t struct_size;
  double load_s;        /**< what loading the model took */
  double prefill_tok_s; /**< prompt tokens a second */
  double decode_tok_s;  /**< later tokens a second */
  double rss_mb;        /**< memory of the process, in 10^6 bytes */
} CladeStats;

/** Continues `num_requests` texts at once. `on_token` may be NULL, and must not
 *  call functions with this session except clade_session_cancel. */
CLADE_API CladeStatus clade_generate(CladeSession *session,
                                     const CladeRequest *requests,
                                     size_t num_requests,
                                     CladeTokenCallback on_token, void *user,
                                     CladeGeneration **generation);

CLADE_API void clade_generation_free(CladeGeneration *generation);

/** Tokens that request `request` was continued with, a stop token included;
 *  valid as long as the generation. Sets *count. NULL and 0 if there is no such
 *  request. */
CLADE_API const int32_t *
clade_generation_tokens(const CladeGeneration *generation, size_t request,
                        size_t *count);

/** Logarithms of their probabilities, or NULL if not asked for. */
CLADE_API const float *
clade_generation_log_probabilities(const CladeGeneration *generation,
                                   size_t request);

/** Why the request ended. */
CLADE_API CladeStopReason
clade_generation_stop_reason(const CladeGeneration *generation, size_t request);

/** Fills in `stats`, of which struct_size must be set. */
CLADE_API CladeStatus clade_generation_stats(const CladeGeneration *generation,
                                             CladeStats *stats);

#ifdef __cplusplus
}
#endif

#endif /* CLADE_RUNTIME_H */
