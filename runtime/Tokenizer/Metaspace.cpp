//===- Metaspace.cpp - Spaces as visible marks ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/Normalizer.h"
#include "runtime/Tokenizer/PreTokenizer.h"
#include "runtime/Tokenizer/Unicode.h"

using namespace clade::rt;

namespace {
class MetaspacePreTokenizer : public PreTokenizer {
public:
  MetaspacePreTokenizer(MetaspaceOptions options, Regex space, Regex mark)
      : options(std::move(options)), space(std::move(space)),
        mark(std::move(mark)) {}
  Status split(Pieces &pieces) const override;

private:
  MetaspaceOptions options;
  Regex space, mark;
};

} // namespace

Status MetaspacePreTokenizer::split(Pieces &pieces) const {
  std::vector<Span> spans;
  auto splitOne = [&](const Piece &piece, std::vector<Piece> &out) -> Status {
    NormalizedText text = {std::string(piece.text), piece.originBytes};
    CLADE_RETURN_IF_ERROR(replaceAll(text, space, options.replacement));
    bool prepends =
        options.prependScheme == PrependScheme::Always ||
        (options.prependScheme == PrependScheme::First && piece.startsInput);
    if (prepends && !text.text.empty() &&
        !text.text.starts_with(options.replacement)) {
      text.text.insert(0, options.replacement);
      if (text.originBytes > 0)
        text.originBytes += options.replacement.size();
    }
    Piece whole = piece;
    whole.originBytes = text.originBytes;
    CLADE_ASSIGN_OR_RETURN(whole.text, pieces.keep(std::move(text.text)));
    if (!options.split) {
      if (!whole.text.empty())
        out.push_back(whole);
      return Status();
    }
    spans.clear();
    CLADE_RETURN_IF_ERROR(mark.split(whole.text, spans));
    splitPiece(whole, spans, SplitBehavior::MergedWithNext, out);
    return Status();
  };
  return pieces.forEachText(splitOne);
}

StatusOr<MetaspaceOptions> MetaspaceOptions::parse(const JsonView &json) {
  MetaspaceOptions options;
  CLADE_ASSIGN_OR_RETURN(options.replacement, json.stringAt("replacement"));
  bool isCharacter =
      !options.replacement.empty() &&
      characterLength(options.replacement[0]) == options.replacement.size();
  if (!isCharacter)
    return json.corruption("'replacement' is not one character");
  CLADE_ASSIGN_OR_RETURN(options.split, json.boolOr("split", true));
  CLADE_ASSIGN_OR_RETURN(std::string scheme,
                         json.stringOr("prepend_scheme", "always"));
  CLADE_ASSIGN_OR_RETURN(bool addPrefixSpace,
                         json.boolOr("add_prefix_space", true));
  if (scheme == "first")
    options.prependScheme = PrependScheme::First;
  else if (scheme == "never")
    options.prependScheme = PrependScheme::Never;
  else if (scheme == "always")
    options.prependScheme = PrependScheme::Always;
  else
    return json.corruption("'prepend_scheme': expected 'first', 'never' or "
                           "'always', got " +
                           quoteName(scheme));
  if (!addPrefixSpace && options.prependScheme != PrependScheme::Never)
    return json.corruption("'add_prefix_space' is false, but 'prepend_scheme' "
                           "is " +
                           quoteName(scheme));
  return options;
}

StatusOr<std::unique_ptr<PreTokenizer>>
clade::rt::createMetaspace(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(MetaspaceOptions options,
                         MetaspaceOptions::parse(json));
  CLADE_ASSIGN_OR_RETURN(Regex space, Regex::literal(" "));
  CLADE_ASSIGN_OR_RETURN(Regex mark, Regex::literal(options.replacement));
  return std::unique_ptr<PreTokenizer>(new MetaspacePreTokenizer(
      std::move(options), std::move(space), std::move(mark)));
}
