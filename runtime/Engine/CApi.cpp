//===- CApi.cpp - Models, sessions and steps for C ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Translates between the C interface and the classes; decides nothing itself.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/CApi.h"

using namespace clade::rt;
using namespace clade::rt::capi;

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

namespace {
thread_local std::string lastError;

SequenceId asId(CladeSequence sequence) { return SequenceId(sequence); }
} // namespace

CladeStatus clade::rt::capi::reportException(const char *what,
                                             StatusCode code) noexcept {
  try {
    lastError = what;
  } catch (...) {
    lastError.clear();
  }
  return static_cast<CladeStatus>(code);
}

CladeStatus clade::rt::capi::report(const Status &status) noexcept {
  if (status.ok())
    return CLADE_OK;
  return reportException(status.message().c_str(), status.code());
}

Status clade::rt::capi::checkPointer(const void *pointer, const char *name) {
  if (pointer)
    return {};
  return Status::invalidArgument("'" + std::string(name) + "' is null");
}

Status clade::rt::capi::checkSize(size_t given, size_t known, const void *data,
                                  const char *name) {
  if (given < sizeof(size_t))
    return Status::invalidArgument(
        "'" + std::string(name) +
        "' does not have its struct_size; use CLADE_INIT");
  auto bytes = static_cast<const unsigned char *>(data);
  for (size_t i = known; i < given; ++i)
    if (bytes[i])
      return Status::unsupported(
          "'" + std::string(name) +
          "' has members set that this version does not know");
  return {};
}

int32_t clade_api_version(void) { return CLADE_API_VERSION; }

const char *clade_last_error(void) { return lastError.c_str(); }

const char *clade_status_name(int status) {
  switch (status) {
  case CLADE_OK:
    return "ok";
  case CLADE_INVALID_ARGUMENT:
    return "invalid argument";
  case CLADE_NOT_FOUND:
    return "not found";
  case CLADE_CORRUPTION:
    return "corruption";
  case CLADE_IO_ERROR:
    return "input or output error";
  case CLADE_UNSUPPORTED:
    return "unsupported";
  case CLADE_RESOURCE_EXHAUSTED:
    return "resource exhausted";
  case CLADE_CANCELLED:
    return "cancelled";
  }
  return "unknown status";
}

//===----------------------------------------------------------------------===//
// Models
//===----------------------------------------------------------------------===//

CladeStatus clade_model_load(const char *path, const CladeModelOptions *options,
                             CladeModel **model) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(path, "path"));
    CLADE_RETURN_IF_ERROR(checkPointer(model, "model"));
    CLADE_ASSIGN_OR_RETURN(CladeModelOptions given,
                           readStruct(options, "options"));
    ModelOptions own;
    own.checkpoint = given.checkpoint ? given.checkpoint : "";
    own.threads = given.threads;
    own.verifyWeights = given.verify_weights != 0;
    CLADE_ASSIGN_OR_RETURN(auto loaded, CompiledModel::load(path, own));
    *model = new CladeModel{std::move(loaded)};
    return {};
  });
}

void clade_model_free(CladeModel *model) { delete model; }

CladeStatus clade_model_info(const CladeModel *model, CladeModelInfo *info) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(model, "model"));
    const Manifest &manifest = model->model->manifest();
    CladeModelInfo own = {};
    own.vocab = static_cast<int32_t>(manifest.model.vocab);
    own.bos = manifest.model.bos.value_or(-1);
    own.max_positions = manifest.model.maxPositions.value_or(0);
    own.has_tokenizer = model->model->hasTokenizer();
    own.length_dependent = manifest.lengthDependentRotary;
    own.family = manifest.model.family.c_str();
    own.architecture = manifest.model.architecture.c_str();
    own.load_seconds = model->model->loadSeconds();
    own.logits_width = static_cast<int32_t>(manifest.logitsWidth());
    return writeStruct(own, info, "info");
  });
}

//===----------------------------------------------------------------------===//
// Sessions
//===----------------------------------------------------------------------===//

CladeStatus clade_session_create(CladeModel *model,
                                 const CladeSessionOptions *options,
                                 CladeSession **session) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(model, "model"));
    CLADE_RETURN_IF_ERROR(checkPointer(session, "session"));
    CLADE_ASSIGN_OR_RETURN(CladeSessionOptions given,
                           readStruct(options, "options"));
    SessionOptions own;
    own.threads = given.threads;
    own.chunk = given.chunk == 0 ? own.chunk : given.chunk;
    own.cacheBytes = given.cache_bytes;
    own.maxContext = given.max_context;
    CLADE_ASSIGN_OR_RETURN(auto created, Session::create(model->model, own));
    *session = new CladeSession{std::move(created), model->model, {}};
    return {};
  });
}

void clade_session_free(CladeSession *session) { delete session; }

void clade_session_cancel(CladeSession *session) {
  if (session)
    session->session->cancel();
}

void clade_session_clear_cancel(CladeSession *session) {
  if (session)
    session->session->clearCancel();
}

CladeStatus clade_sequence_create(CladeSession *session, int64_t scaled_length,
                                  CladeSequence *sequence) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(session, "session"));
    CLADE_RETURN_IF_ERROR(checkPointer(sequence, "sequence"));
    CLADE_ASSIGN_OR_RETURN(SequenceId id,
                           session->session->createSequence(scaled_length));
    *sequence = static_cast<CladeSequence>(id);
    return {};
  });
}

CladeStatus clade_sequence_free(CladeSession *session, CladeSequence sequence) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(session, "session"));
    return session->session->freeSequence(asId(sequence));
  });
}

CladeStatus clade_sequence_copy(CladeSession *session, CladeSequence sequence,
                                CladeSequence *copy) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(session, "session"));
    CLADE_RETURN_IF_ERROR(checkPointer(copy, "copy"));
    CLADE_ASSIGN_OR_RETURN(SequenceId id,
                           session->session->copySequence(asId(sequence)));
    *copy = static_cast<CladeSequence>(id);
    return {};
  });
}

CladeStatus clade_sequence_length(const CladeSession *session,
                                  CladeSequence sequence, int64_t *length) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(session, "session"));
    CLADE_RETURN_IF_ERROR(checkPointer(length, "length"));
    CLADE_ASSIGN_OR_RETURN(*length, session->session->length(asId(sequence)));
    return {};
  });
}

CladeStatus clade_sequence_truncate(CladeSession *session,
                                    CladeSequence sequence, int64_t length) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(session, "session"));
    return session->session->truncate(asId(sequence), length);
  });
}

CladeStatus clade_session_load_adapter(CladeSession *session, const char *path,
                                       int32_t *adapter) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(session, "session"));
    CLADE_RETURN_IF_ERROR(checkPointer(path, "path"));
    CLADE_RETURN_IF_ERROR(checkPointer(adapter, "adapter"));
    CLADE_ASSIGN_OR_RETURN(*adapter, session->session->loadAdapter(path));
    return {};
  });
}

CladeStatus clade_sequence_set_adapter(CladeSession *session,
                                       CladeSequence sequence,
                                       int32_t adapter) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(session, "session"));
    return session->session->setAdapter(asId(sequence), adapter);
  });
}

CladeStatus clade_step(CladeSession *session, const CladeBatchItem *items,
                       size_t num_items, const float **logits, size_t *rows) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(session, "session"));
    CLADE_RETURN_IF_ERROR(checkPointer(items, "items"));
    CLADE_RETURN_IF_ERROR(checkPointer(logits, "logits"));
    CLADE_RETURN_IF_ERROR(checkPointer(rows, "rows"));
    session->batch.clear();
    for (const CladeBatchItem &item : std::span(items, num_items)) {
      CLADE_RETURN_IF_ERROR(checkPointer(item.tokens, "tokens"));
      BatchItem &own = session->batch.emplace_back();
      own.sequence = asId(item.sequence);
      own.tokens = {item.tokens, item.num_tokens};
      if (item.wanted)
        own.wanted = {item.wanted, item.num_tokens};
    }
    CLADE_ASSIGN_OR_RETURN(Logits result,
                           session->session->step(session->batch));
    *logits = result.data;
    *rows = static_cast<size_t>(result.rows);
    return {};
  });
}
