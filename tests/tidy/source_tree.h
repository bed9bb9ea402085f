// The project's own files, as the tests of its rules read them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ktlsim::test {

struct SourceFile {
  std::string path;  // relative to the root: "io/ring.h"
  std::string text;
  // `text` with comments and the contents of literals blanked out, of the same length.
  std::string code;

  bool In(std::string_view folder) const;  // below it
  bool Is(std::string_view suffix) const;  // ".cc"
};

// C and C++ files below `folders`, in the order of their paths.
const std::vector<SourceFile>& Sources();

// A document or any other file of the tree; fails the test when it cannot be read.
std::string ReadFromRoot(const std::string& path);
// Paths of the documents (*.md) of the tree.
std::vector<std::string> Documents();

// 1 for the first.
std::size_t LineAt(std::string_view text, std::size_t offset);

// Whether `c` belongs to an identifier.
bool IsWord(char c);

}  // namespace ktlsim::test
