// AccessPolicy: which security descriptor guards which requests. Paths with what is below them are
// the securable objects; a file had them at one time.
//
// What a newcomer gets wrong: the longest prefix of a path decides alone. Nothing is inherited from
// a shorter one, and a path that no prefix matches is nobody's.
//
// A path is compared as it will be opened, by ResolveTarget (file_path.h): decoded, segment by
// segment, without doubled slashes; dot segments, encoded slashes and NULs are refused. Immutable
// once it is used: any thread at once, any level.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernel_sim/security/access_mask.h"
#include "kernel_sim/security/security_descriptor.h"

namespace ktlsim::serve {

struct AccessRule {
  std::string prefix;  // as it was written
  security::Descriptor descriptor;
  std::string place;  // "FILE:LINE", for people
};

// What a request is for.
struct AccessObject {
  unsigned refusal = 0;  // 0, or the status of the response to a target that names nothing
  std::string name;      // "/docs/index.html"; "/" for the root
  // Null: no prefix matches; or only by letters of the other case.
  const AccessRule* rule = nullptr;
  bool other_case = false;

  // That of the rule; without one nobody is granted anything, and each attempt is recorded.
  const security::DescriptorView& descriptor() const;
};

class AccessPolicy {
 public:
  AccessPolicy() = default;
  AccessPolicy(const AccessPolicy&) = delete;
  AccessPolicy& operator=(const AccessPolicy&) = delete;

  // Empty: done. Else what is wrong with the prefix, and what would be right. May throw
  // std::bad_alloc.
  std::string Add(AccessRule rule);

  // `target` in origin or absolute form, as a request has it. That of a folder is the object
  // "index.html" in it, since that is what is served. May throw std::bad_alloc.
  AccessObject Find(std::string_view target) const;

  std::size_t size() const { return rules_.size(); }

 private:
  void FindRule(std::string_view path, AccessObject* object) const;

  std::vector<AccessRule> rules_;
  std::vector<std::string> paths_;  // of the rules, as ResolveTarget writes them
  // By such a path in lower case. Several of them may differ in case.
  std::unordered_map<std::string, std::vector<std::size_t>> by_folded_;
};

// What a request with this method asks for: GET and HEAD and OPTIONS to read (FILE_GENERIC_READ),
// POST, PUT and PATCH to write (FILE_GENERIC_WRITE), DELETE to delete; any other all rights.
security::AccessMask RightsOfMethod(std::string_view method);

}  // namespace ktlsim::serve
