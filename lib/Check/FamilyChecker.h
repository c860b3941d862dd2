//===- FamilyChecker.h - The abstract run of one family ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Split by job: CheckFamily.cpp (declarations and fields), CheckExpr.cpp and
// CheckNames.cpp (expressions), CheckArithmetic.cpp, CheckStmt.cpp (bodies,
// branches), CheckLoops.cpp, CheckCalls.cpp (blocks, addresses),
// CheckShapes.cpp (lists as shapes, views), CheckBuiltins*.cpp,
// CheckWeights.cpp (weight equations). The functions mirror those of the
// Evaluator, and so do their messages.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CHECK_FAMILYCHECKER_H
#define CLADE_CHECK_FAMILYCHECKER_H

#include "lib/Check/Session.h"
#include "lib/Check/TypeChecker.h"
#include "lib/Check/Types.h"
#include "lib/Import/Family.h"
#include "lib/Import/WeightFunctions.h"

namespace clade::check {

using llvm::ArrayRef;
using llvm::cast;
using llvm::dyn_cast;
using llvm::isa;
using llvm::StringRef;
using mlir::Location;

/// Variables by name.
using Vars = std::map<std::string, Type, std::less<>>;

/// What names mean in one block, field or weight equation.
struct Frame {
  enum class Context { Block, Config, Weights };

  Context context = Context::Block;
  Vars vars;
  StringRef family;         ///< Whose text it is; 'std' for the prelude.
  std::string ownField;     ///< In a field: its own name, which means the key.
  std::optional<Type> last; ///< The last axis of the block's first argument.
  /// What was returned so far, and where, on all paths.
  std::vector<std::pair<Type, Location>> returns;
  std::optional<Type> emitted;
  bool inScan = false;
};

struct Builtin;
class BuiltinArgs;

class FamilyChecker {
public:
  FamilyChecker(Session &session, const spec::FamilyDecl *decl)
      : session(session), decl(decl), family(session.getLibrary(), decl) {}

  /// Checks everything that the family declares.
  std::vector<EntryType> checkAll();

private:
  /// Whether this code runs once for each layer.
  enum class Layers { No, Yes, Maybe };

  /// The value of a body, and whether it always returns before its end.
  struct Flow {
    Type value;
    bool ends = false;
  };

  // CheckFamily.cpp
  void checkUses();
  void checkRequirements();
  void checkParts();
  EntryType checkEntry(const spec::BlockDecl *entry);
  void checkUnreached();
  std::vector<const spec::BlockDecl *> entries() const;

  // CheckFields.cpp
  Type field(StringRef name, Location use, bool ofGivenLayer = false);
  Type evalField(const spec::FieldDecl *field);
  /// An expression of the configuration or of weight equations.
  Type evalConfig(const spec::Expr *expr, Frame::Context context,
                  const Vars &vars, Layers where);

  // CheckExpr.cpp
  Type eval(const spec::Expr *expr, Frame &frame);
  Type evalInner(const spec::Expr *expr, Frame &frame);
  Type evalDefault(const spec::DefaultExpr *expr, Frame &frame);
  Type evalRange(const spec::RangeExpr *expr, Frame &frame);
  Type evalAt(const spec::AtExpr *expr, Frame &frame);
  Type evalFromLayer(const spec::FromLayerExpr *expr, Frame &frame);
  Type evalUnary(const spec::UnaryExpr *expr, Frame &frame);
  Type evalIndex(const spec::IndexExpr *expr, Frame &frame);
  Type evalTensorIndex(const spec::IndexExpr *expr, const Type &base,
                       Frame &frame);

  // CheckNames.cpp
  Type evalName(const spec::NameExpr *expr, Frame &frame);
  Type unknownName(const spec::NameExpr *expr, const Frame &frame);
  Type evalAttr(const spec::AttrExpr *expr, Frame &frame);
  std::vector<std::string> callableNames() const;

  // CheckArithmetic.cpp
  Type evalBinary(const spec::BinaryExpr *expr, Frame &frame);
  Type arithmetic(spec::BinaryOp op, const Type &lhs, const Type &rhs,
                  Location loc);
  Type logic(spec::BinaryOp op, const Type &lhs, const Type &rhs, Location loc);
  Type numeric(spec::BinaryOp op, const Type &lhs, const Type &rhs,
               Location loc);
  Type sumOfShapes(const Type &lhs, const Type &rhs, Location loc);
  Type broadcast(const Type &lhs, const Type &rhs, bool outer, Location loc);

  // CheckStmt.cpp
  Flow evalBody(const spec::Body *body, Frame &frame);
  Flow evalStmt(const spec::Stmt *stmt, Frame &frame);
  Flow evalIf(const spec::IfExpr *expr, Frame &frame);
  Type evalMatch(const spec::MatchExpr *expr, Frame &frame);
  Type condition(const spec::Expr *expr, Frame &frame);
  void evalAssign(const spec::AssignStmt *stmt, Frame &frame);
  void assign(const spec::LValue &target, Type value,
              const spec::AssignStmt *stmt, Frame &frame);
  std::vector<Type> split(const Type &value, size_t count, Location loc);
  Type returnedType(const Frame &frame, const Flow &flow);
  /// The frame after one of two branches.
  static void merge(Frame &frame, const Frame &a, bool aEnds, const Frame &b,
                    bool bEnds);

  // CheckLoops.cpp
  Type evalFor(const spec::ForExpr *expr, Frame &frame);
  Type evalLayers(const spec::ForExpr *expr, Frame &frame);
  Type evalScan(const spec::ScanExpr *expr, Frame &frame);
  Type evalLambda(const spec::LambdaExpr *expr, Frame &frame);

  // CheckCalls.cpp
  /// The arguments of a call, evaluated.
  struct CallArg {
    std::optional<spec::Identifier> name;
    Type type;
    const spec::Expr *expr;
  };
  Type evalCall(const spec::CallExpr *call, Frame &frame);
  Type evalLast(const spec::CallExpr *call, Frame &frame);
  std::vector<CallArg> evalArgs(ArrayRef<spec::Arg> args, Frame &frame);
  Type callBlock(import::FoundBlock found, ArrayRef<CallArg> args,
                 const Frame &caller, Location loc);
  bool bindArgs(const spec::BlockDecl *block, ArrayRef<CallArg> args,
                Frame &frame, Location loc);
  /// Runs a block whose arguments are the variables of the frame.
  Type runBlock(import::FoundBlock found, Frame &frame, Location loc,
                StringRef callerText);
  Type callPart(const spec::PartDecl *part, const spec::AttrExpr *callee,
                ArrayRef<CallArg> args, const Frame &caller, Location loc);
  void address(const spec::Path *path, Frame &frame);

  // CheckShapes.cpp
  Type evalList(const spec::ListExpr *expr, Frame &frame);
  Type evalShapeElement(const spec::Expr *expr, Frame &frame);
  Type evalShapeOperator(const spec::BinaryExpr *expr, Frame &frame);
  Type evalAs(const spec::AsExpr *expr, Frame &frame);
  std::optional<Axes> shapeOf(const Type &type, Location loc);
  /// Two axes of one name are an error; gives whether there are none.
  bool checkDistinct(ArrayRef<Axis> axes, Location loc);
  Type tensorOf(Axes axes, Location loc);

  // CheckBuiltins.cpp and its parts: nothing if there is no such built-in.
  std::optional<Type> callBuiltin(StringRef name, ArrayRef<CallArg> args,
                                  Location loc);
  Type callVariadic(StringRef name, ArrayRef<CallArg> args, Location loc);
  Type special(StringRef name, const BuiltinArgs &args);
  Type elementwise(const Builtin &builtin, const BuiltinArgs &args);
  Type reduction(StringRef name, const BuiltinArgs &args);
  Type alibi(const BuiltinArgs &args);
  Type apply(const BuiltinArgs &args);
  Type outer(const BuiltinArgs &args);
  Type where(const BuiltinArgs &args);
  Type dot(const BuiltinArgs &args);
  Type count(const BuiltinArgs &args);
  Type topK(const BuiltinArgs &args);
  Type member(const BuiltinArgs &args);
  Type mix(const BuiltinArgs &args);
  Type linear(const BuiltinArgs &args);
  Type weight(const BuiltinArgs &args);
  Type embed(const BuiltinArgs &args);
  Type causalConv(const BuiltinArgs &args);
  Type ropeTable(const BuiltinArgs &args);
  Type rope(const BuiltinArgs &args);
  Type attend(const BuiltinArgs &args);
  Type seen(const BuiltinArgs &args);
  Type axesOf(const BuiltinArgs &args);
  Type spread(const BuiltinArgs &args);
  Type fold(const BuiltinArgs &args);
  Type frames(const BuiltinArgs &args);
  Type sinusoid(const BuiltinArgs &args);
  Type patches(const BuiltinArgs &args);
  Type interpolate(const BuiltinArgs &args);
  Type joinTensors(ArrayRef<CallArg> args, Location loc);
  Type repeat(ArrayRef<CallArg> args, Location loc);

  // CheckWeights.cpp
  /// What the left side of an equation and the loops around it bind, and the
  /// sizes of the sets in it.
  struct Bound {
    Vars vars;
    std::vector<size_t> sets;
  };
  void checkWeights(const spec::WeightsDecl *weights);
  void checkItems(ArrayRef<const spec::WeightItem *> items, const Vars &bound);
  void checkEquation(const spec::WeightEquation *equation, const Vars &outer);
  void checkForm(const spec::WeightExpr *expr, const Bound &bound);
  void checkWeightCall(const spec::WeightCall *call, const Bound &bound);
  void checkWeightValue(const spec::WeightExpr *expr,
                        const import::WeightFunction &function, bool isNumber);
  void bindPath(const spec::Path *path, Bound &bound);
  void checkPath(const spec::Path *path, const Bound &bound);
  void checkBound(const spec::Expr *expr, const Bound &bound);
  void checkWeightCondition(const spec::Expr *expr, const Vars &bound);

  // Session.cpp: messages
  /// A value that is wrong in every configuration that gets here; silent where
  /// no configuration does.
  Type error(Location loc, const llvm::Twine &message,
             ArrayRef<Note> notes = {});
  /// A name that nothing has; reported in unreachable text of the family, too.
  Type nameError(Location loc, const llvm::Twine &message, StringRef textOf,
                 ArrayRef<Note> notes = {});
  std::vector<Note> callNotes() const;
  friend class BuiltinArgs;

  /// A block that is being run, for recursion and for notes.
  struct Call {
    const spec::BlockDecl *block;
    Location loc;
    StringRef callerText; ///< The family whose text makes the call.
    int branches;         ///< Around the call.
  };

  Session &session;
  const spec::FamilyDecl *decl;
  import::Family family;

  std::map<std::string, Type, std::less<>> fields;
  /// Fields that are being evaluated, with the branches around them.
  std::map<std::string, int, std::less<>> fieldsInProgress;
  std::map<std::string, Type> results; ///< Of blocks, by arguments.
  std::set<const spec::BlockDecl *> reached;
  std::vector<Call> calls;
  StringRef text; ///< The family whose text is being run; empty: its own.
  Layers layers = Layers::No;
  std::optional<Type> position; ///< What an entry bound it to.
  int dead = 0;     ///< Branches around that no configuration takes.
  int branches = 0; ///< Branches around that some configurations take.
};

} // namespace clade::check

#endif // CLADE_CHECK_FAMILYCHECKER_H
