//===- Evaluator.h - Runs a spec to build a module --------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The meaning of the language: expressions over configuration values are
// computed, expressions over tensors become ops. Split by job: EvalEntry.cpp
// (entries), EvalExpr.cpp (expressions, branches), EvalNames.cpp,
// EvalShapes.cpp (lists and views), EvalStmt.cpp (bodies), EvalCalls.cpp
// (blocks and addresses), EvalLoops.cpp (layers become functions),
// Arithmetic.cpp, and the built-ins in Builtins*.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_EVALUATOR_H
#define CLADE_IMPORT_EVALUATOR_H

#include "dialect/WMap/WMapDialect.h"
#include "lib/Import/Config.h"
#include "lib/Import/Family.h"
#include "lib/Import/Instance.h"
#include "lib/Import/WeightResolver.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/SetVector.h"

#include <map>

namespace clade::import {

using mlir::failure;
using mlir::FailureOr;
using mlir::Location;
using mlir::LogicalResult;
using mlir::success;

/// What an entry for images takes, and how it is cut into patches.
inline constexpr llvm::StringLiteral imagesAttr = "clade.images";

/// Layers, and steps of a requirement about each layer.
inline constexpr int64_t maxLayers = 4096;

/// The name, or if something of the module has it, one that begins with it.
std::string freeName(mlir::ModuleOp module, const std::string &name);

/// What names mean while one block, or one configuration field, is evaluated.
struct Frame {
  enum class Context { Block, Config, Weights };

  Context context = Context::Block;
  std::string blockName; ///< 'llama.attention', for op names and messages.
  std::map<std::string, SpecValue, std::less<>> vars;
  std::string prefix; ///< Address: prefix of the weights of calls without 'at'.
  std::string ownField;    ///< In a field: its own name, which means the key.
  std::optional<Dim> last; ///< The last axis of the block's first argument.
  std::optional<SpecValue> returned; ///< Set by 'return'.
  bool inScan = false;
  std::optional<SpecValue> emitted; ///< Set by 'emit', in a scan.
  bool isEntry = false;             ///< Whether it may bind 'position'.
};

/// Positional and named arguments of a call, evaluated.
struct CallArgs {
  std::vector<SpecValue> positional;
  std::vector<std::pair<std::string, SpecValue>> named;
};

/// What the import may be told.
struct ImportOptions {
  mlir::Type modelType; ///< bf16 or f32: the type that the model computes in.
  AdapterPlaces places = {};
};

class Evaluator {
public:
  Evaluator(const Family &family, const Config *config, const Record &record,
            WeightResolver *weights, mlir::ModuleOp module,
            const ImportOptions &options);

  /// Makes the families that are parts of this one.
  LogicalResult makeParts();
  /// The family that is compiled, with its parts.
  FamilyInstance &getRoot() { return root; }
  /// Builds the function of the entry 'forward' of the family: i32 tokens in,
  /// the value of the entry for the selected tokens out.
  LogicalResult buildForward();
  /// Builds the function of the entry 'image', if the family has one: patches
  /// of images in, rows out that stand for tokens. Comes before 'forward'.
  LogicalResult buildImages();

  /// The value of a configuration field; `layer` for a per-layer field. Without
  /// `mayBeAbsent` a field whose key is not there is an error.
  FailureOr<SpecValue> field(llvm::StringRef name, std::optional<int64_t> layer,
                             Location use, bool mayBeAbsent = false);
  /// Checks the requirements that concern what the entries reach.
  LogicalResult checkRequirements();
  /// An expression in a context of configuration or weights, of an instance or
  /// of the one at hand.
  FailureOr<SpecValue>
  evalConfig(const spec::Expr *expr, Frame::Context context,
             const std::map<std::string, SpecValue, std::less<>> &vars,
             std::optional<int64_t> layer, FamilyInstance *of = nullptr);
  /// A configuration field of an instance.
  FailureOr<SpecValue> fieldOf(FamilyInstance &of, llvm::StringRef name,
                               std::optional<int64_t> layer, Location use);

  /// The values of all per-layer fields among `names` as one text.
  FailureOr<std::string> layerKey(llvm::ArrayRef<std::string> names,
                                  int64_t layer, Location use);
  /// The family whose text is at hand.
  const Family &getFamily() const { return current->family; }
  /// Dotted names of the keys of configuration objects that were read.
  const std::set<std::string> &getKeysRead() const { return keysRead; }

private:
  // EvalExpr.cpp
  FailureOr<SpecValue> eval(const spec::Expr *expr, Frame &frame);
  FailureOr<SpecValue> evalInner(const spec::Expr *expr, Frame &frame);
  FailureOr<SpecValue> evalIndex(const spec::IndexExpr *expr, Frame &frame);
  FailureOr<SpecValue> evalBinary(const spec::BinaryExpr *expr, Frame &frame);
  FailureOr<SpecValue> evalUnary(const spec::UnaryExpr *expr, Frame &frame);
  FailureOr<SpecValue> evalIf(const spec::IfExpr *expr, Frame &frame);
  FailureOr<SpecValue> evalMatch(const spec::MatchExpr *expr, Frame &frame);
  FailureOr<bool> condition(const spec::Expr *expr, Frame &frame);

  // EvalNames.cpp
  FailureOr<SpecValue> evalName(const spec::NameExpr *expr, Frame &frame);
  SpecValue evalKey(llvm::StringRef name);
  FailureOr<SpecValue> evalAttr(const spec::AttrExpr *expr, Frame &frame);

  // EvalShapes.cpp
  FailureOr<SpecValue> evalList(const spec::ListExpr *expr, Frame &frame);
  FailureOr<SpecValue> evalShapeElement(const spec::Expr *expr, Frame &frame);
  FailureOr<SpecValue> evalAs(const spec::AsExpr *expr, Frame &frame);
  FailureOr<Shape> shapeOf(const SpecValue &value, Location loc);

  // EvalStmt.cpp
  FailureOr<SpecValue> evalBody(const spec::Body *body, Frame &frame);
  LogicalResult evalAssign(const spec::AssignStmt *stmt, Frame &frame);
  LogicalResult bindPosition(const SpecValue &value, Location loc);
  FailureOr<std::vector<SpecValue>> split(const TensorValue &tensor,
                                          size_t count, Location loc);

  // EvalParts.cpp
  LogicalResult makeParts(FamilyInstance &of);
  FailureOr<SpecValue> callPart(FamilyInstance &part, llvm::StringRef block,
                                const spec::CallExpr *call, Frame &frame,
                                const std::string &prefix);

  // EvalEntry.cpp
  struct EntryFunction;
  FailureOr<EntryFunction> beginEntry(llvm::StringRef name);
  LogicalResult checkRequirementsOf(FamilyInstance &of);
  FailureOr<mlir::Value> imageRows(const SpecValue &result, Location loc);
  /// The two sides of a comparison that does not hold, for a message.
  std::string comparedValues(const spec::Expr *condition,
                             std::optional<int64_t> layer);

  // EvalCalls.cpp
  FailureOr<SpecValue> evalCall(const spec::CallExpr *call, Frame &frame,
                                const std::string &prefix);
  FailureOr<SpecValue> callBlock(FoundBlock found, const CallArgs &args,
                                 const std::string &prefix, Location loc);
  FailureOr<CallArgs> evalArgs(llvm::ArrayRef<spec::Arg> args, Frame &frame);
  LogicalResult checkLayerList(const spec::FieldDecl *decl,
                               const SpecValue &list, int64_t layer);
  void noteKeys(mlir::InFlightDiagnostic &diagnostic,
                const spec::FieldDecl *decl);
  /// Where a key of the configuration stands, or else the object it would be
  /// in; `otherwise` for what is not of the configuration.
  Location locationOfKey(llvm::StringRef dottedKey, Location otherwise) const;
  /// Points at a key of the configuration and says its value.
  void noteKey(mlir::InFlightDiagnostic &diagnostic, const std::string &key);
  /// The address that a path after 'at' makes, below `prefix`.
  FailureOr<std::string> address(const spec::Path *path, Frame &frame,
                                 const std::string &prefix);

  // EvalLoops.cpp
  FailureOr<SpecValue> evalFor(const spec::ForExpr *expr, Frame &frame);
  FailureOr<SpecValue> evalUnrolled(const spec::ForExpr *expr, Frame &frame,
                                    const SpecValue &range);
  FailureOr<SpecValue> evalLayers(const spec::ForExpr *expr, Frame &frame,
                                  int64_t count);
  /// What the body of a loop makes of the number of a layer: the branches that
  /// its conditions choose, and the number itself where something else uses it.
  /// `assigned` are the names that the loop assigns.
  FailureOr<std::string> numberKey(const spec::Body *body,
                                   llvm::ArrayRef<std::string> assigned,
                                   Frame &frame, int64_t layer);
  struct LayerFunction;
  FailureOr<LayerFunction>
  buildLayerFunction(const spec::ForExpr *expr, Frame &frame,
                     llvm::ArrayRef<std::string> carried, int64_t layer,
                     int64_t kind);

  // EvalFromLayer.cpp
  FailureOr<SpecValue> evalFromLayer(const spec::FromLayerExpr *expr,
                                     Frame &frame);
  void keepLayerValues(mlir::func::FuncOp entry);

  // Arithmetic.cpp
  /// Reports axes that no tensor may have: two of one name, a feature with the
  /// name of the sequence, too many elements.
  LogicalResult checkAxes(const Shape &axes, Location loc);
  FailureOr<SpecValue> arithmetic(spec::BinaryOp op, const SpecValue &lhs,
                                  const SpecValue &rhs, Location loc);
  FailureOr<SpecValue> scalarArithmetic(spec::BinaryOp op, const SpecValue &lhs,
                                        const SpecValue &rhs, Location loc);
  /// The axes of the side that contains those of the other; with `outer` those
  /// of both.
  FailureOr<Shape> containing(const Shape &a, const Shape &b, Location loc,
                              bool outer = false);
  FailureOr<SpecValue> tensorArithmetic(BinaryKind kind, const SpecValue &lhs,
                                        const SpecValue &rhs, bool outer,
                                        Location loc);

  // Builtins*.cpp: nothing if there is no built-in of that name.
  std::optional<FailureOr<SpecValue>> callBuiltin(llvm::StringRef name,
                                                  const CallArgs &args,
                                                  const std::string &prefix,
                                                  Location loc);
  std::optional<FailureOr<SpecValue>>
  callConfigBuiltin(llvm::StringRef name, const CallArgs &args, Location loc);
  std::optional<FailureOr<SpecValue>>
  callElementwise(llvm::StringRef name, const CallArgs &args, Location loc);
  std::optional<FailureOr<SpecValue>>
  callReduction(llvm::StringRef name, const CallArgs &args, Location loc);
  std::optional<FailureOr<SpecValue>>
  callShape(llvm::StringRef name, const CallArgs &args, Location loc);
  std::optional<FailureOr<SpecValue>>
  callSelection(llvm::StringRef name, const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildTopK(const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildMember(const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildWhere(const CallArgs &args, Location loc);
  /// 'x[chosen]': the values of x at the places that top_k chose.
  FailureOr<SpecValue> gather(const TensorValue &x, const TensorValue &chosen,
                              Location loc);
  // BuiltinsRecurrent.cpp
  std::optional<FailureOr<SpecValue>> callRecurrent(llvm::StringRef name,
                                                    const CallArgs &args,
                                                    const std::string &prefix,
                                                    Location loc);
  FailureOr<SpecValue> buildCausalConv(const CallArgs &args,
                                       const std::string &prefix, Location loc);
  FailureOr<SpecValue> buildZeros(const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildDot(const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildRepeat(const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildJoin(const CallArgs &args, Location loc);
  FailureOr<SpecValue> evalScan(const spec::ScanExpr *expr, Frame &frame);
  LogicalResult evalScanBody(const spec::ScanExpr *expr, Frame &inner,
                             const TensorValue &initial,
                             llvm::SmallVectorImpl<mlir::Value> &yielded,
                             Shape &emitted);
  /// The argument of the scan's region that stands for a value from outside.
  mlir::Value scanArgument(mlir::Value value);

  FailureOr<SpecValue> buildLinear(const CallArgs &args,
                                   const std::string &prefix, Location loc);
  FailureOr<SpecValue> buildWeight(const CallArgs &args,
                                   const std::string &prefix, Location loc);
  FailureOr<SpecValue> buildEmbed(const CallArgs &args,
                                  const std::string &prefix, Location loc);
  // BuiltinsMedia.cpp
  std::optional<FailureOr<SpecValue>>
  callMedia(llvm::StringRef name, const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildPatches(const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildGridPositions(const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildFrames(const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildSinusoid(const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildWindowOf(const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildInterpolate(llvm::StringRef name,
                                        const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildTextGridPositions(const CallArgs &args,
                                              Location loc);
  FailureOr<SpecValue> buildFold(const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildPutAt(llvm::StringRef name, const CallArgs &args,
                                  Location loc);
  /// Token ids, sorted, each once.
  FailureOr<llvm::SmallVector<int32_t>>
  tokenIds(llvm::ArrayRef<SpecValue> elements, llvm::StringRef what,
           Location loc);
  /// 'tokens == id' and 'a or b' of such: the places of tokens; nothing for
  /// other operands.
  std::optional<SpecValue> places(spec::BinaryOp op, const SpecValue &lhs,
                                  const SpecValue &rhs) const;

  FailureOr<SpecValue> buildAttend(const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildRopeTable(const CallArgs &args, Location loc);
  FailureOr<SpecValue> buildRope(const CallArgs &args, Location loc);
  FailureOr<std::pair<mlir::Value, mlir::Value>>
  rotaryTable(const RopeTable &table, int64_t headSize, Location loc);
  SpecValue unary(UnaryKind kind, const TensorValue &x, Location loc);
  SpecValue castTo(const TensorValue &x, mlir::Type type, Location loc);

  /// A parameter of this logical name, as a tensor of the given axes: outputs,
  /// and for a matrix inputs; one for each of `experts`, if given, along a
  /// first axis. A null type keeps the one it is stored in. Without a
  /// checkpoint the tensor has `publishedShape`, if that is not what the axes
  /// tell.
  FailureOr<TensorValue> param(const std::string &logical, const Shape &outer,
                               const Shape &inner, mlir::Type type,
                               Location loc,
                               std::optional<Dim> experts = std::nullopt,
                               llvm::ArrayRef<int64_t> publishedShape = {});
  FailureOr<wmap::FuncOp>
  defineWeight(const std::string &name, const std::string &logical,
               const WeightTree &tree, const Shape &outer, const Shape &inner,
               int64_t experts, mlir::Type type, Location loc);
  /// The result of a linear map of layers with what the adapter of the token's
  /// sequence adds; `result` itself where adapters have no place.
  FailureOr<TensorValue> addPlaces(const TensorValue &x,
                                   const TensorValue &result,
                                   const std::string &prefix,
                                   const Shape &shape, Location loc);
  /// The weight of all places that is made of `source`: the rows from
  /// `firstRow` of `rows`, if `rows` is not 0.
  mlir::Value placeWeight(const std::string &name, const std::string &source,
                          const Shape &axes, Location loc, int64_t rows = 0,
                          int64_t firstRow = 0);

  /// The sum, of element type `type`, of a weight and of what an adapter adds.
  FailureOr<mlir::Value> adapt(const WeightTree &added, mlir::Value weight,
                               mlir::Type type, Location loc);

  // BuiltinsExperts.cpp
  /// 'mix(chosen, share) { e => y }'.
  FailureOr<SpecValue> evalMix(const spec::LambdaExpr *expr, Frame &frame);
  FailureOr<SpecValue> expertLinear(const TensorValue &x, const Shape &shape,
                                    bool bias, const std::string &prefix,
                                    Location loc);

  // Helpers
  mlir::InFlightDiagnostic error(Location loc) { return mlir::emitError(loc); }
  mlir::Type f32() { return builder.getF32Type(); }
  mlir::Location named(Location loc) const;
  TensorValue tensor(mlir::Value value, Shape axes) {
    return {value, std::move(axes)};
  }
  NamedTensorType typeFor(const Shape &axes, mlir::Type elementType);
  mlir::Value constant(double value, Location loc);
  /// The value as it is seen in the function that is being built.
  mlir::Value localize(mlir::Value value);
  mlir::Value localizeToLayer(mlir::Value value);
  TensorValue localize(TensorValue tensor) {
    tensor.value = localize(tensor.value);
    // In a scan it is that of one token.
    if (static_cast<int64_t>(tensor.axes.size()) > tensor.getType().getRank())
      tensor.axes.erase(tensor.axes.begin());
    return tensor;
  }
  mlir::Value batch() { return localize(batchValue); }

  /// The configuration that the text at hand reads.
  const Record &getRecord() const { return current->record; }

  FamilyInstance root;
  FamilyInstance *current = &root;
  const Config *config;
  WeightResolver *weights;
  mlir::ModuleOp module;
  ImportOptions options;
  mlir::OpBuilder builder;

  std::set<std::string> keysRead;
  /// What record(…) made.
  std::vector<std::unique_ptr<const nlohmann::json>> madeRecords;
  std::optional<int64_t> currentLayer;
  int depth = 0;     ///< Nesting of evaluation, bounded.
  int partDepth = 0; ///< Nesting of parts, bounded.
  int64_t steps = 0; ///< Expressions evaluated, bounded as well.
  std::string currentBlock;

  // The entry that is being built.
  mlir::Block *entryBlock = nullptr;
  mlir::Value batchValue, positionsValue;
  /// What 'position' means: one number for each token, or what the entry binds.
  TensorValue position;
  mlir::func::FuncOp imageFunction; ///< While the entry for images is built.
  /// What the entry for images gives, for the entry for text.
  std::optional<SpecValue> mediaValue;
  /// Tokens of images whose positions have axes; empty if none have.
  llvm::SmallVector<int32_t> positionedTokens;
  std::map<std::string, std::pair<mlir::Value, mlir::Value>> rotaryTables;

  // The layer function that is being built, if any.
  struct LayerScope {
    mlir::Block *block = nullptr;
    int64_t numCarried = 0;
    int64_t nextState = 0;
    int64_t kind = 0;
  };
  std::optional<LayerScope> layerScope;

  // The scan whose body is evaluated, if any.
  struct ScanScope {
    mlir::Block *block = nullptr;
    /// Values from outside, in the order of the region's arguments after the
    /// carried one.
    llvm::SmallVector<mlir::Value> operands;
  };
  std::optional<ScanScope> scanScope;
  /// The mixture of experts whose body is evaluated, if any.
  struct MixScope {
    TensorValue chosen; ///< [token, active] i32
    const Dim &active() const { return chosen.axes[1]; }
    const Dim &experts() const { return chosen.choice->from; }
  };
  std::optional<MixScope> mixScope;
  /// Values of the entry that layer functions read, in the order of their
  /// arguments after the carried ones; shared by all kinds of one loop.
  llvm::SetVector<mlir::Value> captures;
};

} // namespace clade::import

#endif // CLADE_IMPORT_EVALUATOR_H
