//===- ArtifactTest.cpp - Writing and opening artifacts -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Damage of every file, other machines and versions, and what the writer may
// and may not replace.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Artifact.h"
#include "ToySupport.h"
#include "runtime/Engine/CpuFeatures.h"
#include "runtime/Support/File.h"
#include "runtime/Support/Hash.h"

#include <filesystem>
#include <fstream>

using namespace clade::rt;
using namespace clade::rt::test;
namespace fs = std::filesystem;

namespace {

const ArtifactContents contents = {
    toyCode(), R"({"weights": []})", {{"tokenizer.json", "{}"}}};

void writeText(const std::string &path, const std::string &text) {
  std::ofstream(path, std::ios::binary) << text;
}

class ArtifactTest : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_OK(writeArtifact(path, toyManifest(), contents));
  }
  Status open() { return Artifact::open(path).takeStatus(); }

  /// Writes the manifest anew after `change`, with a right hash.
  void changeManifest(const std::function<void(Manifest &)> &change) {
    auto manifest = Manifest::fromJson(*readTextFile(path + "/manifest.json"));
    ASSERT_OK(manifest);
    change(*manifest);
    writeText(path + "/manifest.json", manifest->toJson());
  }

  /// Flips one bit in each of about `samples` bytes of a file, all if 0.
  void flipBits(const std::string &name, size_t samples) {
    std::string file = path + "/" + name;
    const std::string text = *readTextFile(file);
    size_t step = samples ? std::max<size_t>(text.size() / samples, 1) : 1;
    for (size_t i = 0; i < text.size(); i += step) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 8));
      writeText(file, damaged);
      Status status = open();
      ASSERT_EQ(status.code(), StatusCode::Corruption)
          << name << ", byte " << i << ": " << status.message();
    }
    writeText(file, text);
    ASSERT_OK(open());
  }

  TemporaryFolder folder;
  const std::string path = folder / "model";
};

TEST_F(ArtifactTest, Opens) {
  auto artifact = Artifact::open(path);
  ASSERT_OK(artifact);
  EXPECT_NE((*artifact)->forward(), nullptr);
  EXPECT_EQ((*artifact)->weightTable(), contents.weights);
  EXPECT_TRUE((*artifact)->hasFile("tokenizer.json"));
  EXPECT_FALSE((*artifact)->hasFile("generation_config.json"));
  EXPECT_TRUE(isArtifact(path));
  EXPECT_FALSE(isArtifact(folder.path));
}

TEST_F(ArtifactTest, FlippedBitsInManifest) { flipBits("manifest.json", 0); }
TEST_F(ArtifactTest, FlippedBitsInWeights) { flipBits("weights.json", 0); }
TEST_F(ArtifactTest, FlippedBitsInTokenizer) { flipBits("tokenizer.json", 0); }
TEST_F(ArtifactTest, FlippedBitsInCode) { flipBits("code.so", 300); }

TEST_F(ArtifactTest, DamageIsNamed) {
  writeText(path + "/weights.json", R"({"weights": {}})");
  expectError(open(), StatusCode::Corruption,
              "'" + path +
                  "/weights.json' does not match its hash in the manifest");
  writeText(path + "/weights.json", "{}");
  expectError(open(), StatusCode::Corruption,
              "'" + path + "/weights.json' has 2 bytes, expected 15");
  fs::remove(path + "/weights.json");
  expectError(open(), StatusCode::NotFound, "");
  writeText(path + "/manifest.json", "{}");
  expectError(open(), StatusCode::Corruption,
              "'" + path + "/manifest.json': the line with member 'hash'");
}

TEST_F(ArtifactTest, NotAnArtifact) {
  expectError(Artifact::open(folder.path).takeStatus(), StatusCode::NotFound,
              "'" + folder.path +
                  "' is not an artifact: it has no 'manifest.json'");
}

TEST_F(ArtifactTest, UnlistedCode) {
  changeManifest([](Manifest &m) { m.files.erase("code.so"); });
  expectError(open(), StatusCode::Corruption,
              "'" + path + "': the manifest does not list 'code.so'");
}

TEST_F(ArtifactTest, MissingCpuFeature) {
  std::vector<std::string> host = hostCpuFeatures();
  std::string missing;
  for (const char *name : {"+amx-fp16", "+xop", "+tbm", "+sha512"})
    if (std::find(host.begin(), host.end(), name) == host.end())
      missing = name;
  ASSERT_NE(missing, "") << "no CPU has all of these";
  changeManifest([&](Manifest &m) { m.target.features = {missing}; });
  expectError(open(), StatusCode::Unsupported,
              "'" + path + "': the code needs the CPU feature '" +
                  missing.substr(1) + "', which this machine does not have");
  changeManifest([&](Manifest &m) { m.target.features = {"+warp-drive"}; });
  expectError(open(), StatusCode::Unsupported,
              "'" + path +
                  "': the code needs the CPU feature 'warp-drive', which this "
                  "runtime does not know");
  changeManifest([&](Manifest &m) {
    m.target.features = host;
    m.target.features.push_back("-" + missing.substr(1));
  });
  EXPECT_TRUE(open().ok());
}

TEST_F(ArtifactTest, MissingSymbol) {
  changeManifest([](Manifest &m) { m.entries["forward"].symbol = "absent"; });
  expectError(open(), StatusCode::Corruption,
              "'" + path +
                  "/code.so' does not define 'absent', the entry 'forward'");
}

TEST_F(ArtifactTest, CodeThatIsNone) {
  writeText(folder / "text", "not code");
  ArtifactContents bad = contents;
  bad.code = folder / "text";
  ASSERT_OK(writeArtifact(path, toyManifest(), bad));
  expectError(open(), StatusCode::Corruption,
              "cannot load '" + path + "/code.so': ");
}

TEST_F(ArtifactTest, CodeOfAnotherVersion) {
  ArtifactContents bad = contents;
  bad.code = TOY_OLD_CODE;
  ASSERT_OK(writeArtifact(path, toyManifest(), bad));
  expectError(open(), StatusCode::Unsupported,
              "'" + path + "/code.so': expected ABI version 9, got 0");
  bad.code = TOY_NO_CODE;
  ASSERT_OK(writeArtifact(path, toyManifest(), bad));
  expectError(open(), StatusCode::Corruption,
              "'" + path + "/code.so' does not define 'clade_abi_version'");
}

//===----------------------------------------------------------------------===//
// The writer
//===----------------------------------------------------------------------===//

TEST_F(ArtifactTest, ReplacesAnArtifact) {
  ArtifactContents other = contents;
  other.weights = "{}";
  other.extraFiles.clear();
  auto old = Artifact::open(path);
  ASSERT_OK(old);
  ASSERT_OK(writeArtifact(path + "/", toyManifest(), other));
  auto artifact = Artifact::open(path);
  ASSERT_OK(artifact);
  EXPECT_EQ((*artifact)->weightTable(), "{}");
  EXPECT_FALSE(fs::exists(path + "/tokenizer.json"));
  // Nothing temporary is left, and the old code is still there to be run.
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), {}), 1);
  EXPECT_NE((*old)->forward(), (*artifact)->forward());
}

TEST_F(ArtifactTest, FillsAnEmptyDirectory) {
  fs::create_directory(folder / "empty");
  ASSERT_OK(writeArtifact(folder / "empty", toyManifest(), contents));
  EXPECT_TRUE(isArtifact(folder / "empty"));
}

TEST_F(ArtifactTest, RefusesOthersFiles) {
  writeText(folder / "file", "mine");
  expectError(writeArtifact(folder / "file", toyManifest(), contents),
              StatusCode::InvalidArgument,
              "'" + (folder / "file") + "' exists and is not an artifact");
  expectError(writeArtifact(folder.path, toyManifest(), contents),
              StatusCode::InvalidArgument,
              "'" + folder.path + "' exists and is not an artifact");
  writeText(path + "/notes.txt", "mine");
  expectError(writeArtifact(path, toyManifest(), contents),
              StatusCode::InvalidArgument,
              "'" + path +
                  "' holds 'notes.txt', which is not part of the "
                  "artifact");
  EXPECT_TRUE(fs::exists(path + "/notes.txt"));
}

TEST_F(ArtifactTest, WriterErrors) {
  ArtifactContents bad = contents;
  bad.extraFiles["code.so"] = "";
  expectError(writeArtifact(folder / "new", toyManifest(), bad),
              StatusCode::InvalidArgument, "'code.so' cannot be an extra file");
  bad = contents;
  bad.code = folder / "absent";
  expectError(writeArtifact(folder / "new", toyManifest(), bad),
              StatusCode::NotFound, "");
  expectError(writeArtifact(folder / "no/new", toyManifest(), contents),
              StatusCode::NotFound, "cannot create '");
  Manifest wrong = toyManifest();
  wrong.model.vocab = 0;
  expectError(writeArtifact(folder / "new", wrong, contents),
              StatusCode::Corruption, "'model.vocab': ");
  // Nothing is left behind.
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), {}), 1);
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

TEST_F(ArtifactTest, CopyIsTheSame) {
  const std::string copy = folder / "copy";
  ASSERT_OK(copyArtifact(path, copy + "/"));
  ASSERT_OK(Artifact::open(copy).takeStatus());
  for (const fs::directory_entry &entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(*readTextFile(copy + "/" + name),
              *readTextFile(path + "/" + name));
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(copy), {}),
            std::distance(fs::directory_iterator(path), {}));
  // An artifact is replaced, anything else is not.
  ASSERT_OK(copyArtifact(path, copy));
  writeText(copy + "/notes.txt", "mine");
  expectError(copyArtifact(path, copy), StatusCode::InvalidArgument,
              "'" + copy + "' holds 'notes.txt'");
}

TEST_F(ArtifactTest, CopyOfDamage) {
  const std::string copy = folder / "copy";
  writeText(path + "/tokenizer.json", "[]");
  expectError(copyArtifact(path, copy), StatusCode::Corruption,
              "'" + path +
                  "/tokenizer.json' does not match its hash in the manifest");
  fs::remove(path + "/tokenizer.json");
  expectError(copyArtifact(path, copy), StatusCode::NotFound,
              "cannot open '" + path + "/tokenizer.json'");
  fs::remove(path + "/manifest.json");
  expectError(copyArtifact(path, copy), StatusCode::NotFound,
              "cannot open '" + path + "/manifest.json'");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), {}), 1);
}

TEST_F(ArtifactTest, CopyOfHeldWeights) {
  ArtifactContents packed = contents;
  packed.pack = [](const std::string &file) -> StatusOr<std::string> {
    writeText(file, "data");
    return std::string("{}");
  };
  ASSERT_OK(writeArtifact(path, toyManifest(), packed));
  expectError(copyArtifact(path, folder / "copy"), StatusCode::InvalidArgument,
              "'" + path + "' holds its weights, which are not copied");
}

TEST(HashTest, KnownValues) {
  // From xxhsum -H2 (XXH128) of the reference implementation.
  EXPECT_EQ(hashOf(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hashOf("a"), "a96faf705af16834e6c632b61e964e1f");
}

TEST(CpuFeaturesTest, BaselineIsThere) {
#if defined(__x86_64__)
  EXPECT_TRUE(checkCpuFeatures({"+64bit", "+sse2", "+cx8", "-avx512f"}).ok());
#endif
  EXPECT_TRUE(checkCpuFeatures({}).ok());
  EXPECT_TRUE(checkCpuFeatures(hostCpuFeatures()).ok());
}

TEST(CpuFeaturesTest, TileRegistersAreAskedFor) {
  // No registers have this number: every system refuses them.
  expectError(requestRegisters(63), StatusCode::Unsupported,
              "the code needs the tile registers of AMX, which the operating "
              "system does not let this process use (");
  // Where there are tiles they are given, as often as they are asked for.
  std::vector<std::string> host = hostCpuFeatures();
  bool hasTiles =
      std::find(host.begin(), host.end(), "+amx-tile") != host.end();
  for (int time = 0; time < 2; ++time)
    EXPECT_EQ(requestRegisters().ok(), hasTiles);
}

} // namespace
