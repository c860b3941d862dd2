//===- Causes.cpp - Likely mistakes in a spec -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Causes.h"

#include "lib/Import/Reach.h"
#include "lib/Spec/Walk.h"

using namespace clade;
using namespace clade::onboard;
using import::Family;
using llvm::StringRef;

namespace {
class CauseList {
public:
  CauseList(const import::SpecLibrary &library, const spec::FamilyDecl *decl,
            llvm::ArrayRef<TensorGroup> tensors)
      : library(library), family(library, decl), reach(family),
        tensors(tensors) {
    reach.walkFamily();
  }

  std::vector<Cause> run() {
    rotation();
    norms();
    numbers();
    activations();
    windows();
    swaps();
    blocks();
    choices();
    transposed();
    slips();
    return std::move(causes);
  }

private:
  void add(const llvm::Twine &says, const llvm::Twine &items) {
    causes.push_back({says.str(), ("family " + causeName + " from " +
                                   family.getName() + " {\n" + items + "\n}\n")
                                      .str()});
  }
  static StringRef textOf(const spec::Node &node) {
    spec::SourceRange range = node.getRange();
    return StringRef(range.Start.getPointer(),
                     range.End.getPointer() - range.Start.getPointer())
        .trim();
  }
  /// A field that the computation reads; null otherwise.
  const spec::FieldDecl *field(StringRef name) const {
    return reach.mentionsField(name) ? family.findField(name) : nullptr;
  }
  /// The field with another value, in the configuration of the family.
  void addField(const llvm::Twine &says, const spec::FieldDecl *decl,
                const llvm::Twine &value) {
    std::string head = decl->name.name.str();
    if (decl->index)
      head += "[" + decl->index->name.str() + "]";
    add(says, "  config { " + llvm::Twine(head) + " = " + value + " }");
  }

  void rotation() {
    const spec::FieldDecl *rot = field("rot");
    if (!rot)
      return;
    std::string value = textOf(*rot->value).str();
    bool isAdjacent = StringRef(value).contains("adjacent");
    std::string other = value;
    if (isAdjacent) {
      replaceAll(other, "adjacent", "halves");
    } else if (value.find("halves") != std::string::npos) {
      replaceAll(other, "halves", "adjacent");
    } else {
      replaceAll(other, "rope_table()", "rope_table(pairs: adjacent)");
      replaceAll(other, "rope_table(theta",
                 "rope_table(pairs: adjacent, theta");
    }
    addField(isAdjacent
                 ? "rotary pairs are the halves of a head (pairs: halves)"
                 : "rotary pairs are side by side (pairs: adjacent)",
             rot, other);
    std::string half = value;
    replaceAll(half, "rope_table(theta", "rope_table(fraction: 0.5, theta");
    if (half != value)
      addField("only half of a head is rotated (fraction: 0.5)", rot, half);
    addField("nothing is rotated (rot = none)", rot, "none");
  }

  void norms() {
    if (!family.findBlock("norm"))
      return;
    auto norm = [&](StringRef says, StringRef text) {
      add(says, "  block norm(x, over = last) = " + text);
    };
    norm("gains of norms are stored less one (gain: 1 + weight)",
         "rms_norm_wide(x, over: over, gain: 1 + f32(weight([over]) at "
         "weight))");
    norm("gains of norms are stored as they are (rms_norm)",
         "rms_norm(x, over: over)");
    norm("norms subtract the mean (layer_norm without bias)",
         "layer_norm(x, over: over, bias: false)");
    norm("norms subtract the mean (layer_norm)", "layer_norm(x, over: over)");
    // Those within attention only.
    add("queries and keys are normed behind the rotation",
        "  block attention(x) {\n    q, k, v = llama.heads(x)\n"
        "    q, k = norm(rope(q, rot)) at q_norm, norm(rope(k, rot)) at "
        "k_norm\n"
        "    y = attend(q, k, v, mask: causal and near(window), scale: scale)\n"
        "    return linear(y, [d], o_bias) at o_proj\n  }");
  }

  void numbers() {
    if (const spec::FieldDecl *eps = field("eps"))
      for (StringRef value :
           {"1e-5", "1e-6", "1e-8", "1e-12", "rms_norm_eps",
            "layer_norm_epsilon", "layer_norm_eps", "norm_eps"})
        addField("'eps' is " + value, eps, value);
    // A norm that says its own.
    for (StringRef value : {"eps", "1e-5", "1e-6"})
      add("norms take " + value + " as epsilon",
          "  block norm(x, over = last) = rms_norm(x, eps: " + value +
              ", over: over)");
    if (const spec::FieldDecl *scale = field("scale"))
      for (StringRef value :
           {"head ^ -0.5", "1", "d ^ -0.5", "head ^ -1",
            "query_pre_attn_scalar ^ -0.5", "attention_multiplier"})
        addField("scores are scaled by " + value, scale, value);
    if (family.findBlock("input")) {
      add("embeddings are scaled by d ^ 0.5",
          "  block input(tokens) = (embed(tokens, [vocab, d]) at "
          "model.embed_tokens) * round(d ^ 0.5)");
      add("embeddings are not scaled",
          "  block input(tokens) = embed(tokens, [vocab, d]) at "
          "model.embed_tokens");
    }
    for (StringRef name : {"cap", "final_cap"})
      if (const spec::FieldDecl *cap = field(name))
        addField("'" + name + "' is none", cap, "none");
  }

  void activations() {
    if (const spec::FieldDecl *act = field("act"))
      for (StringRef name :
           {"silu", "gelu", "gelu_pytorch_tanh", "relu", "relu2", "quick_gelu"})
        addField("the activation is " + name, act, "\"" + name + "\"");
  }

  void windows() {
    const spec::FieldDecl *window = field("window");
    if (!window)
      return;
    std::string value = textOf(*window->value).str();
    for (StringRef change : {"+ 1", "- 1"})
      addField(change == "+ 1" ? "windows reach one token further"
                               : "windows reach one token less far",
               window,
               "if (" + llvm::Twine(value) + ") == none { none } else { (" +
                   value + ") " + change + " }");
    addField("there are no windows", window, "none");
    add("layers take windows that the configuration says (sliding_window)",
        "  config { window = sliding_window }");
  }

  void swaps() {
    // Weights of one shape that lie side by side.
    for (auto [i, a] : llvm::enumerate(tensors))
      for (const TensorGroup &b : tensors.drop_front(i + 1)) {
        auto [parent, left] = moduleOf(a.name).rsplit('.');
        auto [other, right] = moduleOf(b.name).rsplit('.');
        StringRef name = a.name;
        if (parent != other || left == right || a.shape != b.shape ||
            !name.contains("{layer}") || name.contains("{e}") ||
            !name.ends_with(".weight") || right.empty())
          continue;
        add("'" + left + "' and '" + right + "' of '" + parent +
                "' are swapped",
            "  weights { " + parent + ".{\"" + left + "\", \"" + right +
                "\"}.{leaf} = " + parent + ".{\"" + right + "\", \"" + left +
                "\"}.{leaf} }");
      }
    // The order of query, key and value in one tensor.
    for (StringRef name : {"heads", "attention"}) {
      import::FoundBlock block = family.findBlock(name);
      if (!block)
        continue;
      std::string text = textOf(*block.decl).str(), other = text;
      replaceAll(other, "[heads, head + head + head]",
                 "[heads, head] + [heads, head] + [heads, head]");
      if (other == text) {
        replaceAll(other, "[heads, head] + [heads, head] + [heads, head]",
                   "[heads, head + head + head]");
        replaceAll(other,
                   "[q_heads, head] + [kv_heads, head] + [kv_heads, head]",
                   "[q_heads, head + head + head]");
      }
      if (other != text)
        add("query, key and value follow each other " +
                llvm::Twine(StringRef(other).contains("head + head + head")
                                ? "within each head"
                                : "as wholes"),
            "  " + other);
    }
  }

  /// Blocks as other families have them.
  void blocks() {
    std::set<std::string> tried;
    for (const spec::FamilyDecl *decl : library.getFamilies()) {
      if (!decl->serves)
        continue;
      for (const spec::BlockDecl *block : decl->blocks) {
        import::FoundBlock here = family.findBlock(block->name.name);
        bool isOther = here && !block->isEntry && here.decl != block &&
                       tried.insert(textOf(*block).str()).second;
        if (isOther)
          add("block '" + block->name.name + "' is that of '" +
                  decl->name.name + "'",
              "  use " + block->name.name + " from " + decl->name.name);
      }
    }
  }

  /// Fields that are true or false.
  void choices() {
    std::set<std::string> seen;
    for (const std::string &name : family.fieldNames()) {
      const spec::FieldDecl *decl = field(name);
      if (!decl || !seen.insert(name).second)
        continue;
      StringRef text = textOf(*decl->value);
      if (!text.contains("true") && !text.contains("false"))
        continue;
      for (StringRef value : {"true", "false"})
        if (text != value)
          addField("'" + name + "' is " + value, decl, value);
    }
  }

  /// Square matrices of layers, of which no shape tells the order of axes.
  void transposed() {
    for (const TensorGroup &group : tensors) {
      StringRef name = group.name;
      bool isSquare = group.shape.size() == 2 &&
                      group.shape[0] == group.shape[1] &&
                      name.contains("{layer}") && name.ends_with(".weight");
      if (!isSquare || name.contains("{e}"))
        continue;
      add("'" + moduleOf(name) + "' is stored transposed",
          "  weights { " + name + " = transpose(" + name + ") }");
    }
  }

  /// A block with other words in the place of some of its text.
  void addSplice(const llvm::Twine &says, const spec::BlockDecl &block,
                 const spec::Node &old, const llvm::Twine &words) {
    StringRef whole = textOf(block), part = textOf(old);
    size_t at = part.data() - whole.data();
    add(says, "  " + whole.take_front(at) + words +
                  whole.drop_front(at + part.size()));
  }

  /// What was left out of a block: the sum with its input, a rotation.
  void slips() {
    for (const spec::BlockDecl *block : reach.getBlocks()) {
      if (block->isEntry || family.findBlock(block->name.name).decl != block)
        continue;
      if (block->params.size() == 1)
        for (const spec::Stmt *stmt : block->body->stmts)
          residual(*block, block->params[0].name.name, *stmt);
      if (field("rot"))
        for (const spec::Stmt *stmt : block->body->stmts)
          if (const spec::Expr *value = valueOf(*stmt))
            spec::walk(
                *value,
                [&](const spec::Expr &expr) {
                  if (auto *call = llvm::dyn_cast<spec::CallExpr>(&expr))
                    rotated(*block, *call);
                },
                [](const spec::Stmt &) {});
    }
  }
  static const spec::Expr *valueOf(const spec::Stmt &stmt) {
    if (auto *assign = llvm::dyn_cast<spec::AssignStmt>(&stmt))
      return assign->value;
    if (auto *result = llvm::dyn_cast<spec::ReturnStmt>(&stmt))
      return result->value;
    auto *plain = llvm::dyn_cast<spec::ExprStmt>(&stmt);
    return plain ? plain->value : nullptr;
  }
  void residual(const spec::BlockDecl &block, StringRef input,
                const spec::Stmt &stmt) {
    const spec::Expr *value = valueOf(stmt);
    if (!value || llvm::isa<spec::TupleExpr>(value))
      return;
    auto *assign = llvm::dyn_cast<spec::AssignStmt>(&stmt);
    if (assign && (assign->isAdd || assign->targets.size() != 1 ||
                   assign->targets[0].name.name != input))
      return;
    // At the end of the block, or where its input is assigned anew.
    if (!assign && &stmt != block.body->stmts.back())
      return;
    addSplice("block '" + block.name.name + "' adds '" + input + "' to " +
                  (assign ? "what it assigns to it" : "its result"),
              block, *value, input + " + " + textOf(*value));
  }
  void rotated(const spec::BlockDecl &block, const spec::CallExpr &call) {
    auto *callee = llvm::dyn_cast<spec::NameExpr>(call.callee);
    if (!callee || callee->name != "attend" || call.args.size() < 2)
      return;
    for (const spec::Arg &arg : call.args.take_front(2))
      if (!arg.name && llvm::isa<spec::NameExpr>(arg.value))
        addSplice("'" + textOf(*arg.value) + "' is rotated, too", block,
                  *arg.value, "rope(" + textOf(*arg.value) + ", rot)");
  }

  static void replaceAll(std::string &text, StringRef from, StringRef to) {
    for (size_t at = text.find(from.str()); at != std::string::npos;
         at = text.find(from.str(), at + to.size()))
      text.replace(at, from.size(), to.str());
  }

  const import::SpecLibrary &library;
  Family family;
  import::Reach reach;
  llvm::ArrayRef<TensorGroup> tensors;
  std::vector<Cause> causes;
};
} // namespace

std::vector<Cause> onboard::causesFor(const import::SpecLibrary &library,
                                      const spec::FamilyDecl *family,
                                      llvm::ArrayRef<TensorGroup> tensors) {
  return CauseList(library, family, tensors).run();
}
