//===- EvalParts.cpp - Families inside a family ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// 'text = qwen3 with config.text_config at model.language_model': blocks and
// fields of a part are called and read through its name; its configuration is
// an object inside this one's, its weights lie below a path.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

/// Parts in parts that a model may have.
static constexpr int maxPartDepth = 8;

static std::string joined(const std::string &prefix, const std::string &path) {
  return prefix.empty() || path.empty() ? prefix + path : prefix + "." + path;
}

LogicalResult Evaluator::makeParts() { return makeParts(root); }

LogicalResult Evaluator::makeParts(FamilyInstance &of) {
  const SpecLibrary &library = of.family.getLibrary();
  for (const spec::FamilyDecl *decl : of.family.getChain())
    for (const spec::PartDecl *part : decl->parts) {
      std::string name = part->name.name.str();
      if (of.parts.count(name))
        continue; // A nearer family has it.
      // Families in a circle of parts would never end.
      if (++partDepth > maxPartDepth)
        return error(part->getLoc())
               << "expected at most " << maxPartDepth
               << " families inside each other: is one a part of itself?";
      FailureOr<SpecValue> object =
          evalConfig(part->config, Frame::Context::Config, {}, {}, &of);
      if (failed(object))
        return failure();
      if (!object->is(SpecValue::Kind::Record))
        return error(part->config->getLoc())
               << "expected an object of the configuration for part '" << name
               << "', got " << object->describe();
      std::string path;
      if (part->at) {
        Frame frame;
        frame.context = Frame::Context::Config;
        FailureOr<std::string> at = address(part->at, frame, "");
        if (failed(at))
          return failure();
        path = *at;
      }
      FamilyInstance::Part made;
      made.family = std::make_unique<const Family>(
          library, library.findFamily(part->family.name));
      made.instance =
          std::make_unique<FamilyInstance>(*made.family, object->record);
      made.instance->prefix = joined(of.prefix, path);
      if (failed(makeParts(*made.instance)))
        return failure();
      of.parts.emplace(name, std::move(made));
      --partDepth;
    }
  return success();
}

FailureOr<SpecValue> Evaluator::callPart(FamilyInstance &part, StringRef block,
                                         const spec::CallExpr *call,
                                         Frame &frame,
                                         const std::string &prefix) {
  Location loc = call->getLoc();
  FoundBlock found = part.family.findBlock(block);
  if (!found)
    return error(loc) << "family '" << part.family.getName()
                      << "' has no block '" << block << "'"
                      << SpecLibrary::hint(block, part.family.blockNames());
  if (frame.context != Frame::Context::Block)
    return error(loc) << "expected a function of configuration values, got "
                         "block '"
                      << block << "' of a part";
  FailureOr<CallArgs> args = evalArgs(call->args, frame);
  if (failed(args))
    return failure();
  // What 'at' adds to the address of the caller goes behind that of the part.
  StringRef added = prefix;
  if (added.consume_front(frame.prefix))
    added.consume_front(".");
  FamilyInstance *saved = std::exchange(current, &part);
  FailureOr<SpecValue> result =
      callBlock(found, *args, joined(part.prefix, added.str()), loc);
  current = saved;
  return result;
}
