// Which folder may include which. Nothing else enforces it: every target has the root as include
// path.
#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tidy/source_tree.h"

namespace ktlsim::test {
namespace {

// A folder and those that it may include, besides itself. Lower ones come first.
struct Arrows {
  std::string folder;
  std::vector<std::string> may_include;
};

const std::vector<Arrows>& AllArrows() {
  static const auto* const arrows = new std::vector<Arrows>{
      {"kernel_sim/base", {}},
      {"io", {"kernel_sim/base"}},
      {"tls", {"kernel_sim/base"}},
      {"tls/record", {"kernel_sim/base", "tls"}},
      {"tls/identity", {"kernel_sim/base", "tls"}},
      {"tls/handshake", {"kernel_sim/base", "tls", "tls/record", "tls/identity"}},
      {"kernel_sim/include", {"io"}},
      {"kernel_sim/digest", {"kernel_sim/base"}},
      {"kernel_sim/unix_identity", {"kernel_sim/base"}},
      {"kernel_sim/security", {"kernel_sim/base"}},
      {"kernel_sim/audit", {"kernel_sim/base", "kernel_sim/security"}},
      {"kernel_sim/accounts", {"kernel_sim/base", "kernel_sim/digest", "kernel_sim/security"}},
      {"kernel_sim/executive", {"kernel_sim/base", "io"}},
      {"kernel_sim/authorization",
       {"kernel_sim/base", "kernel_sim/include", "kernel_sim/unix_identity", "kernel_sim/security",
        "kernel_sim/executive"}},
      {"kernel_sim/context_store", {"kernel_sim/base", "io"}},
      {"kernel_sim/sspi",
       {"kernel_sim/base", "io", "tls", "tls/record", "tls/identity", "tls/handshake",
        "kernel_sim/include", "kernel_sim/digest", "kernel_sim/unix_identity",
        "kernel_sim/security", "kernel_sim/executive", "kernel_sim/authorization",
        "kernel_sim/context_store"}},
      {"kernel_sim/authority",
       {"kernel_sim/base", "kernel_sim/include", "kernel_sim/digest", "kernel_sim/security",
        "kernel_sim/audit", "kernel_sim/accounts", "kernel_sim/authorization", "kernel_sim/sspi"}},
      {"kernel_sim/transport", {"kernel_sim/base", "io", "kernel_sim/include"}},
      {"kernel_sim/serve",
       {"kernel_sim/base", "io", "kernel_sim/include", "kernel_sim/security", "kernel_sim/audit",
        "kernel_sim/authorization", "kernel_sim/transport"}},
      {"kernel_sim/command",
       {"kernel_sim/base", "io", "tls/record", "kernel_sim/include", "kernel_sim/digest",
        "kernel_sim/security", "kernel_sim/accounts", "kernel_sim/audit",
        "kernel_sim/authorization", "kernel_sim/context_store", "kernel_sim/sspi",
        "kernel_sim/transport", "kernel_sim/serve", "kernel_sim/unix_identity"}},
  };
  return *arrows;
}

// Arrows that only one file may use.
const std::map<std::string, std::string>& OnlyFor() {
  static const auto* const only = new std::map<std::string, std::string>{
      {"kernel_sim/include -> io", "kernel_sim/include/ktlsim/processor.h"},
  };
  return *only;
}

std::string ArrowOf(std::string_view from, std::string_view to) {
  std::string arrow(from);
  return arrow.append(" -> ").append(to);
}

// The innermost of them that `path` is in.
std::string FolderOf(const std::string& path) {
  std::string found;
  for (const Arrows& arrows : AllArrows()) {
    if (arrows.folder.size() > found.size() && path.starts_with(arrows.folder + "/")) {
      found = arrows.folder;
    }
  }
  return found;
}

// The folder that an include names, "" for the system's.
std::string FolderIncluded(const std::string& name) {
  if (name == "sspi.h" || name == "schannel.h" || name.starts_with("ktlsim/")) {
    return "kernel_sim/include";
  }
  return FolderOf(name);
}

std::vector<std::string> IncludesOf(const SourceFile& file) {
  constexpr std::string_view kInclude = "#include ";
  std::vector<std::string> names;
  for (std::size_t at = file.code.find(kInclude); at != std::string::npos;
       at = file.code.find(kInclude, at)) {
    const bool begins_line = at == 0 || file.code[at - 1] == '\n';
    at += kInclude.size();
    if (!begins_line || (file.code[at] != '<' && file.code[at] != '"')) continue;
    const std::size_t end = file.code.find_first_of(">\"\n", at + 1);
    if (end != std::string::npos) names.push_back(file.code.substr(at + 1, end - at - 1));
  }
  return names;
}

TEST(IncludesTest, FoldersIncludeWhatLiesBelowThem) {
  std::set<std::string> used;
  for (const SourceFile& file : Sources()) {
    const std::string from = FolderOf(file.path);
    if (from.empty()) continue;
    std::set<std::string> allowed = {from};
    for (const Arrows& arrows : AllArrows()) {
      if (arrows.folder == from) {
        allowed.insert(arrows.may_include.begin(), arrows.may_include.end());
      }
    }
    for (const std::string& name : IncludesOf(file)) {
      const std::string to = FolderIncluded(name);
      if (to.empty() || to == from) continue;
      const std::string arrow = ArrowOf(from, to);
      used.insert(arrow);
      EXPECT_TRUE(allowed.contains(to))
          << file.path << " includes " << name << ": " << from << " may not include " << to;
      if (OnlyFor().contains(arrow)) {
        EXPECT_EQ(file.path, OnlyFor().at(arrow)) << "includes " << name;
      }
    }
  }
  for (const Arrows& arrows : AllArrows()) {
    for (const std::string& to : arrows.may_include) {
      EXPECT_TRUE(used.contains(ArrowOf(arrows.folder, to)))
          << arrows.folder << " includes nothing of " << to << ": delete the arrow";
    }
  }
}

// Tests, benchmarks and examples are above everything.
TEST(IncludesTest, NothingIncludesTests) {
  for (const SourceFile& file : Sources()) {
    if (file.In("tests")) continue;
    for (const std::string& name : IncludesOf(file)) {
      EXPECT_FALSE(name.starts_with("tests/")) << file.path;
      EXPECT_TRUE(!name.starts_with("bench/") || file.In("bench")) << file.path;
    }
  }
}

// One folder's part of the table: a line, or more where it would be too long for a document.
std::string Printed(const Arrows& arrows) {
  constexpr std::size_t kColumnsMax = 119;
  std::string text;
  std::string line = arrows.folder;
  line.resize(std::max<std::size_t>(21, line.size() + 1), ' ');
  line += "->";
  for (const std::string& to : arrows.may_include) {
    if (line.size() + 1 + to.size() > kColumnsMax) {
      text.append(line).append("\n");
      line.assign(23, ' ');
    }
    line.append(" ").append(to);
  }
  if (arrows.may_include.empty()) line += " nothing";
  return text.append(line).append("\n");
}

// The documents show the same table.
TEST(IncludesTest, DocumentsShowTheArrows) {
  std::string text;
  for (const Arrows& arrows : AllArrows()) text += Printed(arrows);
  for (const char* document : {"README.md", "ARCHITECTURE.md"}) {
    EXPECT_NE(ReadFromRoot(document).find(text), std::string::npos) << document << " lacks:\n"
                                                                    << text;
  }
}

// OpenSSL's handshakes: code that has an SSL can change what is sent.
TEST(IncludesTest, OnlyTheHandshakeWingSeesSsl) {
  const std::string only_initialises = "kernel_sim/sspi/openssl_setup.cc";  // OPENSSL_init_ssl
  std::set<std::string> found;
  for (const SourceFile& file : Sources()) {
    if (FolderOf(file.path).empty() || file.In("tls/handshake")) continue;
    for (const std::string& name : IncludesOf(file)) {
      if (name == "openssl/ssl.h") found.insert(file.path);
    }
  }
  EXPECT_THAT(found, testing::ElementsAre(only_initialises)) << "only tls/handshake may see SSL";
}

// A package has no time, no randomness and no runtime but what its host gives it.
TEST(IncludesTest, PackagesKnowTheirHostOnly) {
  static const std::regex foreign(
      "kernel_sim/sspi/runtime\\.h|\\bMonotonicClock\\b|\\btime\\(|\\bclock_gettime\\(|"
      "\\bchrono\\b|\\bRAND_\\w+|\\bgetrandom\\(|\\brandom_device\\b");
  int files = 0;
  for (const SourceFile& file : Sources()) {
    if (!file.In("kernel_sim/sspi/packages")) continue;
    ++files;
    std::smatch found;
    const bool matches = std::regex_search(file.code, found, foreign);
    EXPECT_FALSE(matches) << file.path << ":"
                          << LineAt(file.code, static_cast<std::size_t>(found.position())) << ": "
                          << found.str() << ": ask the PackageHost";
  }
  EXPECT_GT(files, 10);
}

// A header includes what it needs: the target `headers_alone` and standard_includes_test.cc prove
// that. This test proves that it can be included twice.
TEST(IncludesTest, HeadersAreGuarded) {
  for (const SourceFile& file : Sources()) {
    // The table of assertions is included once for each kind of layout.
    if (!file.Is(".h") || file.path == "tests/include/static_assertions.h") continue;
    EXPECT_NE(file.code.find("#pragma once"), std::string::npos) << file.path;
  }
}

}  // namespace
}  // namespace ktlsim::test
