//===- Regex.cpp - Matching with PCRE2 ------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#define PCRE2_CODE_UNIT_WIDTH 8

#include "runtime/Tokenizer/Regex.h"
#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/Unicode.h"

#include <pcre2.h>

using namespace clade::rt;

void Regex::CodeDeleter::operator()(pcre2_real_code_8 *code) const {
  pcre2_code_free(code);
}

static std::string errorText(int error) {
  PCRE2_UCHAR buffer[256];
  if (pcre2_get_error_message(error, buffer, sizeof(buffer)) < 0)
    return "error " + std::to_string(error);
  return reinterpret_cast<const char *>(buffer);
}

StatusOr<Regex> Regex::literal(std::string_view text) {
  if (text.empty())
    return compile(""); // Matches at every character.
  Regex regex;
  regex.literalText = text;
  return regex;
}

StatusOr<Regex> Regex::compile(std::string_view pattern) {
  CLADE_ASSIGN_OR_RETURN(std::string translated, toPCRE2(pattern));
  Regex regex;
  regex.source = pattern;
  struct ContextDeleter {
    void operator()(pcre2_compile_context *context) const {
      pcre2_compile_context_free(context);
    }
  };
  std::unique_ptr<pcre2_compile_context, ContextDeleter> context(
      pcre2_compile_context_create(nullptr));
  if (!context)
    return Status::resourceExhausted("no memory for a regular expression");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_bsr(context.get(), PCRE2_BSR_UNICODE);
  // Ruby's ^ and $ work on lines, and its $ matches only before a newline or at
  // the very end, which is PCRE2's multi-line mode.
  uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE |
                     PCRE2_ALLOW_EMPTY_CLASS | PCRE2_NEVER_BACKSLASH_C;
  int error = 0;
  PCRE2_SIZE offset = 0;
  regex.code.reset(pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
      options, &error, &offset, context.get()));
  if (!regex.code)
    return Status::invalidArgument("regular expression " +
                                   quoteName(regex.source) +
                                   " does not compile: " + errorText(error));
  // Without JIT support the interpreter does the work.
  (void)pcre2_jit_compile(regex.code.get(), PCRE2_JIT_COMPLETE);
  return regex;
}

Status Regex::forEachLiteral(std::string_view text,
                             const Visitor &visit) const {
  size_t end = 0;
  for (size_t found; (found = text.find(literalText, end)) != text.npos;) {
    if (found > end)
      CLADE_RETURN_IF_ERROR(visit(Span{end, found, false}));
    CLADE_RETURN_IF_ERROR(visit(Span{found, found + literalText.size(), true}));
    end = found + literalText.size();
  }
  if (end < text.size())
    CLADE_RETURN_IF_ERROR(visit(Span{end, text.size(), false}));
  return Status();
}

namespace {
/// What a match needs: a JIT stack that grows, limits, and the result.
class Matcher {
public:
  Matcher()
      : context(pcre2_match_context_create(nullptr)),
        stack(pcre2_jit_stack_create(64 << 10, 8 << 20, nullptr)),
        data(pcre2_match_data_create(1, nullptr)) {
    if (!isUsable())
      return;
    pcre2_jit_stack_assign(context, nullptr, stack);
    pcre2_set_match_limit(context, 50'000'000);
    pcre2_set_heap_limit(context, 256 << 10); // KiB
  }
  ~Matcher() {
    pcre2_match_data_free(data);
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
  }
  Matcher(const Matcher &) = delete;

  bool isUsable() const { return context && stack && data; }

  int match(const pcre2_code *code, std::string_view text, size_t start) {
    auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int rc = pcre2_match(code, subject, text.size(), start, PCRE2_NO_UTF_CHECK,
                         data, context);
    // The interpreter keeps its state on the heap, up to the limit above.
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
      rc = pcre2_match(code, subject, text.size(), start,
                       PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, context);
    return rc;
  }
  size_t begin() const { return pcre2_get_ovector_pointer(data)[0]; }
  size_t end() const { return pcre2_get_ovector_pointer(data)[1]; }

private:
  pcre2_match_context *context;
  pcre2_jit_stack *stack;
  pcre2_match_data *data;
};
} // namespace

Status Regex::forEachSpan(std::string_view text, const Visitor &visit) const {
  if (!code)
    return forEachLiteral(text, visit);
  if (text.empty())
    return Status();
  static thread_local Matcher matcher;
  if (!matcher.isUsable())
    return Status::resourceExhausted("no memory for a regular expression");
  size_t covered = 0, position = 0;
  bool hasMatch = false;
  while (position <= text.size()) {
    int rc = matcher.match(code.get(), text, position);
    if (rc == PCRE2_ERROR_NOMATCH)
      break;
    if (rc < 0)
      return Status::resourceExhausted("matching the regular expression " +
                                       quoteName(source) + ": " +
                                       errorText(rc));
    size_t begin = matcher.begin(), end = matcher.end();
    if (begin == end && hasMatch && end == covered) {
      position += position < text.size() ? characterLength(text[position]) : 1;
      continue;
    }
    if (covered != begin)
      CLADE_RETURN_IF_ERROR(visit(Span{covered, begin, false}));
    CLADE_RETURN_IF_ERROR(visit(Span{begin, end, true}));
    hasMatch = true;
    covered = position = end;
  }
  if (covered != text.size())
    CLADE_RETURN_IF_ERROR(visit(Span{covered, text.size(), false}));
  return Status();
}

Status Regex::split(std::string_view text, std::vector<Span> &spans) const {
  return forEachSpan(text, [&](const Span &span) {
    spans.push_back(span);
    return Status();
  });
}
