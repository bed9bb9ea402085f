// Finds the classes of a source file and their data members. Not a compiler: it knows the forms
// that clang-format leaves and that this project uses.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace ktlsim::test {

struct Member {
  std::string name;
  bool flag = false;  // a bool, atomic or not
  std::size_t line = 0;
};

struct Class {
  std::string name;  // without the names around it
  std::string path;
  std::size_t line = 0;
  std::vector<Member> members;  // without static ones, and those of nested classes
  std::vector<std::string> friends;

  std::size_t flags() const;
};

std::vector<Class> ClassesOf(const SourceFile& file);

}  // namespace ktlsim::test
