//===- Server.cpp - The language server -----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/LSP/Server.h"

#include "lib/LSP/Features.h"

#include "llvm/Support/Path.h"

using namespace clade;
using namespace clade::lsp;
using llvm::lsp::Callback;
using llvm::lsp::NoParams;
namespace json = llvm::json;

namespace clade::lsp {
/// What a client says first: 'initializationOptions' may have 'specs', a list
/// of folders, 'config' and 'checkpoint'. What is of another type is left out.
struct ClientOptions {
  std::vector<std::string> specs;
  Attachment attachment;
};

static bool fromJSON(const json::Value &value, ClientOptions &result,
                     json::Path) {
  const json::Object *object = value.getAsObject();
  const json::Object *options =
      object ? object->getObject("initializationOptions") : nullptr;
  if (!options)
    return true;
  if (const json::Array *folders = options->getArray("specs"))
    for (const json::Value &folder : *folders)
      if (auto text = folder.getAsString())
        result.specs.push_back(text->str());
  result.attachment.config = options->getString("config").value_or("").str();
  result.attachment.checkpoint =
      options->getString("checkpoint").value_or("").str();
  return true;
}

/// A document, for requests that have more which is not used.
struct DocumentParams {
  llvm::lsp::TextDocumentIdentifier textDocument;
};

static bool fromJSON(const json::Value &value, DocumentParams &result,
                     json::Path path) {
  json::ObjectMapper map(value, path);
  return map && map.map("textDocument", result.textDocument);
}
} // namespace clade::lsp

namespace {
class Server {
public:
  Server(llvm::lsp::JSONTransport &transport, StringRef specs)
      : handler(transport), specs(specs) {
    handler.method("initialize", this, &Server::onInitialize);
    handler.notification("initialized", this, &Server::onInitialized);
    handler.method("shutdown", this, &Server::onShutdown);
    handler.notification("textDocument/didOpen", this, &Server::onOpen);
    handler.notification("textDocument/didChange", this, &Server::onChange);
    handler.notification("textDocument/didClose", this, &Server::onClose);
    handler.method("textDocument/hover", this, &Server::onHover);
    handler.method("textDocument/definition", this, &Server::onDefinition);
    handler.method("textDocument/completion", this, &Server::onCompletion);
    handler.method("textDocument/documentSymbol", this, &Server::onSymbols);
    handler.method("textDocument/formatting", this, &Server::onFormatting);
    publish = handler.outgoingNotification<llvm::lsp::PublishDiagnosticsParams>(
        "textDocument/publishDiagnostics");
  }

  llvm::lsp::MessageHandler &getHandler() { return handler; }
  bool wasShutDown() const { return isShutDown; }

private:
  void onInitialize(const ClientOptions &options, Callback<json::Value> reply) {
    std::vector<std::string> folders{specs};
    llvm::append_range(folders, options.specs);
    workspace.setFolders(std::move(folders));
    workspace.setAttachment(options.attachment);
    reply(json::Object{
        {"serverInfo", json::Object{{"name", "clade-lsp-server"}}},
        {"capabilities",
         json::Object{
             {"textDocumentSync",
              json::Object{
                  {"openClose", true},
                  {"change",
                   static_cast<int>(llvm::lsp::TextDocumentSyncKind::Full)}}},
             {"hoverProvider", true},
             {"definitionProvider", true},
             {"completionProvider",
              json::Object{{"triggerCharacters", json::Array{"."}}}},
             {"documentSymbolProvider", true},
             {"documentFormattingProvider", true}}}});
  }
  void onInitialized(const NoParams &) {}
  void onShutdown(const NoParams &, Callback<json::Value> reply) {
    isShutDown = true;
    reply(nullptr);
  }

  void onOpen(const llvm::lsp::DidOpenTextDocumentParams &params) {
    update(params.textDocument.uri, params.textDocument.text,
           params.textDocument.version);
  }
  void onChange(const llvm::lsp::DidChangeTextDocumentParams &params) {
    // Whole texts, as was asked for.
    if (!params.contentChanges.empty())
      update(params.textDocument.uri, params.contentChanges.back().text,
             params.textDocument.version);
  }
  void onClose(const llvm::lsp::DidCloseTextDocumentParams &params) {
    const llvm::lsp::URIForFile &uri = params.textDocument.uri;
    workspace.close(uri.file());
    documents.erase(uri.file().str());
    publish(llvm::lsp::PublishDiagnosticsParams(uri, 0));
    publishAll();
  }

  void update(const llvm::lsp::URIForFile &uri, StringRef text,
              int64_t version) {
    workspace.open(uri.file(), text);
    documents[uri.file().str()] = {uri, version};
    publishAll();
  }

  /// What one text says may be wrong for another.
  void publishAll() {
    for (const auto &[file, document] : documents) {
      const std::string *text = workspace.find(file);
      std::unique_ptr<Analysis> analysis = workspace.analyse(file);
      if (!text || !analysis)
        continue;
      llvm::lsp::PublishDiagnosticsParams params(document.uri,
                                                 document.version);
      params.diagnostics = diagnosticsOf(*analysis, file, *text);
      publish(params);
    }
  }

  /// Calls `answer` with the analysis, the text and the place; null where the
  /// document is not open. What it makes is replied at once: a JSON value may
  /// refer to the texts that it is made of.
  template <typename Answer>
  void at(const llvm::lsp::TextDocumentPositionParams &params,
          Callback<json::Value> reply, Answer answer) {
    StringRef file = params.textDocument.uri.file();
    const std::string *text = workspace.find(file);
    std::unique_ptr<Analysis> analysis = workspace.analyse(file);
    if (!text || !analysis)
      return reply(nullptr);
    answer(*analysis, file, *text, Positions(*text).offsetOf(params.position),
           reply);
  }

  void onHover(const llvm::lsp::TextDocumentPositionParams &params,
               Callback<json::Value> reply) {
    at(params, std::move(reply),
       [](Analysis &analysis, StringRef file, StringRef text, size_t offset,
          Callback<json::Value> &reply) {
         auto hover = hoverAt(analysis, file, text, offset);
         reply(hover ? toJSON(*hover) : json::Value(nullptr));
       });
  }
  void onDefinition(const llvm::lsp::TextDocumentPositionParams &params,
                    Callback<json::Value> reply) {
    at(params, std::move(reply),
       [](Analysis &analysis, StringRef file, StringRef text, size_t offset,
          Callback<json::Value> &reply) {
         auto location = definitionAt(analysis, file, text, offset);
         reply(location ? toJSON(*location) : json::Value(nullptr));
       });
  }
  void onCompletion(const llvm::lsp::TextDocumentPositionParams &params,
                    Callback<json::Value> reply) {
    at(params, std::move(reply),
       [](Analysis &analysis, StringRef, StringRef text, size_t offset,
          Callback<json::Value> &reply) {
         llvm::lsp::CompletionList list;
         list.items = completionsAt(analysis, text, offset);
         reply(toJSON(list));
       });
  }
  void onSymbols(const DocumentParams &params, Callback<json::Value> reply) {
    const std::string *text = workspace.find(params.textDocument.uri.file());
    if (!text)
      return reply(nullptr);
    json::Array symbols;
    for (const llvm::lsp::DocumentSymbol &symbol : symbolsOf(*text))
      symbols.push_back(toJSON(symbol));
    reply(std::move(symbols));
  }
  void onFormatting(const DocumentParams &params, Callback<json::Value> reply) {
    const std::string *text = workspace.find(params.textDocument.uri.file());
    if (!text)
      return reply(nullptr);
    json::Array edits;
    for (const llvm::lsp::TextEdit &edit : formattingOf(*text))
      edits.push_back(toJSON(edit));
    reply(std::move(edits));
  }

  struct Open {
    llvm::lsp::URIForFile uri;
    int64_t version = 0;
  };

  llvm::lsp::MessageHandler handler;
  llvm::lsp::OutgoingNotification<llvm::lsp::PublishDiagnosticsParams> publish;
  std::string specs;
  Workspace workspace;
  std::map<std::string, Open> documents;
  bool isShutDown = false;
};
} // namespace

bool lsp::serve(llvm::lsp::JSONTransport &transport, StringRef specs) {
  Server server(transport, specs);
  if (llvm::Error error = transport.run(server.getHandler())) {
    llvm::consumeError(std::move(error));
    return false;
  }
  return server.wasShutDown();
}
