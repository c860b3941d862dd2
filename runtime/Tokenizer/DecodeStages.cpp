//===- DecodeStages.cpp - The stages of decoders --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/DecodeStages.h"
#include "runtime/Tokenizer/ByteLevel.h"
#include "runtime/Tokenizer/Normalizer.h"
#include "runtime/Tokenizer/Unicode.h"
#include "runtime/Tokenizer/Vocabulary.h"

using namespace clade::rt;

Status DecodeStage::text(std::string_view part) {
  collected += part;
  return checkTextSize(collected.size());
}

Status DecodeStage::endToken() {
  std::string whole = std::exchange(collected, std::string());
  return token(whole);
}

Status DecodeStage::emit(std::string_view token) {
  CLADE_RETURN_IF_ERROR(next->text(token));
  return next->endToken();
}

Status OutputStage::text(std::string_view part) {
  output += part;
  return checkTextSize(output.size());
}

Status JoinStage::text(std::string_view part) {
  if (!isInside && !isFirst)
    CLADE_RETURN_IF_ERROR(next->text(" "));
  isInside = true;
  isFirst = false;
  return next->text(part);
}

Status JoinStage::endToken() {
  isInside = false;
  return next->endToken();
}

Status FuseStage::finish() {
  CLADE_RETURN_IF_ERROR(next->endToken());
  return next->finish();
}

Status ByteLevelStage::token(std::string_view token) {
  if (!appendLetterBytes(pending, token))
    pending += token;
  // All but an incomplete character at the end can go.
  size_t end = pending.size();
  size_t lead = end;
  while (lead > 0 && end - lead < 4 && isContinuationByte(pending[lead - 1]))
    --lead;
  if (lead > 0) {
    std::string_view tail = std::string_view(pending).substr(lead - 1);
    if (scanUTF8(tail).kind == UTF8Prefix::Incomplete)
      end = lead - 1;
  }
  if (end == 0)
    return Status();
  std::string ready = toValidUTF8(std::string_view(pending).substr(0, end));
  pending.erase(0, end);
  return next->text(ready);
}

Status ByteLevelStage::finish() {
  CLADE_RETURN_IF_ERROR(next->text(toValidUTF8(pending)));
  pending.clear();
  CLADE_RETURN_IF_ERROR(next->endToken());
  return next->finish();
}

Status ByteFallbackStage::token(std::string_view token) {
  std::optional<unsigned char> byte = parseByteToken(token);
  if (byte) {
    run += static_cast<char>(*byte);
    return isStream ? emitComplete() : Status();
  }
  CLADE_RETURN_IF_ERROR(endRun());
  return emit(token);
}

/// Hands on the characters that the run so far settles.
Status ByteFallbackStage::emitComplete() {
  while (!run.empty()) {
    UTF8Prefix next = scanUTF8(run);
    if (next.kind == UTF8Prefix::Incomplete)
      break;
    if (next.kind == UTF8Prefix::Valid)
      CLADE_RETURN_IF_ERROR(emit(run.substr(0, next.length)));
    for (uint32_t i = 0; next.kind == UTF8Prefix::Invalid && i < next.length;
         ++i)
      CLADE_RETURN_IF_ERROR(emit(replacementCharacter));
    run.erase(0, next.length);
  }
  return Status();
}

/// A run is text if it is UTF-8; otherwise each of its bytes is U+FFFD.
Status ByteFallbackStage::endRun() {
  std::string whole = std::exchange(run, std::string());
  if (!whole.empty() && isValidUTF8(whole))
    return emit(whole);
  for (size_t i = 0; i < whole.size(); ++i)
    CLADE_RETURN_IF_ERROR(emit(replacementCharacter));
  return Status();
}

Status ByteFallbackStage::finish() {
  CLADE_RETURN_IF_ERROR(endRun());
  return next->finish();
}

/// `text` with each `from`, which is not empty, replaced.
static std::string replaced(std::string_view text, std::string_view from,
                            std::string_view to) {
  std::string out;
  size_t position = 0;
  for (size_t found; (found = text.find(from, position)) != text.npos;
       position = found + from.size()) {
    out += text.substr(position, found - position);
    out += to;
  }
  return out += text.substr(position);
}

Status MetaspaceStage::token(std::string_view token) {
  std::string result = replaced(token, mark, dropsFirst ? "" : " ");
  dropsFirst = false;
  return emit(result);
}

/// Undoes what splitting at punctuation did to spaces, as the library does.
static std::string cleanedUp(std::string text) {
  static constexpr std::pair<const char *, const char *> rules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto &[from, to] : rules)
    text = replaced(text, from, to);
  return text;
}

Status WordPieceStage::token(std::string_view token) {
  std::string text;
  if (!isFirst && token.starts_with(prefix))
    token.remove_prefix(prefix.size());
  else if (!isFirst)
    text = ' ';
  text += token;
  isFirst = false;
  return emit(cleanup ? cleanedUp(std::move(text)) : text);
}

Status BPEDecoderStage::token(std::string_view token) {
  if (last)
    CLADE_RETURN_IF_ERROR(emit(replaced(*last, suffix, " ")));
  last = std::string(token);
  return Status();
}

Status BPEDecoderStage::finish() {
  if (last)
    CLADE_RETURN_IF_ERROR(emit(replaced(*last, suffix, "")));
  return next->finish();
}

Status ReplaceStage::token(std::string_view token) {
  NormalizedText text = {std::string(token), 0};
  CLADE_RETURN_IF_ERROR(replaceAll(text, pattern, content));
  return emit(text.text);
}

Status StripStage::text(std::string_view part) {
  std::string out;
  while (!part.empty()) {
    std::string_view character = part.substr(0, characterLength(part[0]));
    part.remove_prefix(character.size());
    bool isContent = character == content;
    if (isContent && leading > 0) {
      --leading;
      continue;
    }
    leading = 0;
    if (isContent && heldBack < stop) {
      ++heldBack;
      continue;
    }
    // Behind a longer run, what was kept back is not trailing; a run hands on
    // its first copies and keeps the last.
    for (; !isContent && heldBack > 0; --heldBack)
      out += content;
    out += character;
  }
  return next->text(out);
}

Status StripStage::endToken() {
  leading = start;
  heldBack = 0;
  return next->endToken();
}
