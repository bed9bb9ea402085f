// From a request target to a path below the root, and back (RFC 3986, RFC 9112 3.2).
//
// The resulting path never begins with a slash, and has no empty, "." or ".." segment and no NUL.
// Independently of this, the opening (file_tree.h) refuses to leave the root.
//
// Private to serve/. Any level; may throw std::bad_alloc.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ktlsim::serve {

// Longer targets get 414.
inline constexpr std::size_t kTargetBytesMax = 4096;
inline constexpr std::size_t kLocationBytesMax = 4096;

// What is served in the place of a folder.
inline constexpr const char* kIndexName = "index.html";

struct FilePath {
  unsigned refusal = 0;    // 0, or the status code of the response: 400, 404, 414
  std::string path;        // empty: the root itself
  bool directory = false;  // the target ends with a slash, or is the root
};

// Takes the path of `target`, which is in origin or absolute form; the query is dropped.
FilePath ResolveTarget(std::string_view target);

// "/" and `path` with every other byte percent-encoded, and a slash at the end: for Location.
std::string DirectoryLocation(std::string_view path);

// The query of `target` with its question mark, for Location; empty when there is none.
std::string QueryOf(std::string_view target);

}  // namespace ktlsim::serve
