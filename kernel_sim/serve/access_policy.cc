#include "kernel_sim/serve/access_policy.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/base/never_destroyed.h"
#include "kernel_sim/security/sddl.h"
#include "kernel_sim/serve/file_path.h"

namespace ktlsim::serve {
namespace {

// An empty DACL, and a record of whatever anybody is denied.
constexpr std::string_view kNobodys = "O:SYG:SYD:PS:(AU;FA;FA;;;WD)(AU;FA;FA;;;AN)";

struct Nobodys {
  Nobodys() {
    static_cast<void>(security::ParseSddl(kNobodys, std::nullopt, &descriptor));
    if (descriptor) view = descriptor->view();
  }
  std::optional<security::Descriptor> descriptor;
  security::DescriptorView view;  // without memory it is none at all, which a check refuses
};

std::string Folded(std::string_view path) {
  std::string folded(path);
  std::ranges::transform(folded, folded.begin(), &Lower);
  return folded;
}

// Without the last segment; "" has none.
std::string_view Parent(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

}  // namespace

const security::DescriptorView& AccessObject::descriptor() const {
  static NeverDestroyed<Nobodys> nobodys;
  return rule != nullptr ? rule->descriptor.view() : nobodys.get().view;
}

std::string AccessPolicy::Add(AccessRule rule) {
  if (!rule.prefix.starts_with('/') || rule.prefix.find_first_of("%?#") != std::string::npos) {
    return "a path begins with a slash and is written decoded, such as /private";
  }
  const FilePath resolved = ResolveTarget(rule.prefix);
  if (resolved.refusal != 0) return "write the path without . and ..";
  std::vector<std::size_t>& same = by_folded_[Folded(resolved.path)];
  for (const std::size_t index : same) {
    if (paths_[index] == resolved.path) {
      return fmt::format("it is there already, at {}: a path has one descriptor",
                         rules_[index].place);
    }
  }
  same.push_back(rules_.size());
  paths_.push_back(resolved.path);
  rules_.push_back(std::move(rule));
  return {};
}

AccessObject AccessPolicy::Find(std::string_view target) const {
  AccessObject object;
  FilePath resolved = ResolveTarget(target);
  object.refusal = resolved.refusal;
  if (object.refusal != 0) return object;
  if (resolved.directory) {
    if (!resolved.path.empty()) resolved.path += '/';
    resolved.path += kIndexName;
  }
  object.name = "/" + resolved.path;
  FindRule(resolved.path, &object);
  return object;
}

// On a file system that ignores case, "/SECRET" opens what "/secret" guards. So a path that a
// prefix matches but for the case of letters is refused, unless a prefix of the same length matches
// exactly.
void AccessPolicy::FindRule(std::string_view path, AccessObject* object) const {
  std::string folded = Folded(path);
  for (;;) {
    if (const auto found = by_folded_.find(folded); found != by_folded_.end()) {
      const std::string_view exact = path.substr(0, folded.size());
      for (const std::size_t index : found->second) {
        if (paths_[index] == exact) object->rule = &rules_[index];
      }
      object->other_case = object->rule == nullptr;
      return;
    }
    if (folded.empty()) return;
    folded.resize(Parent(folded).size());
  }
}

security::AccessMask RightsOfMethod(std::string_view method) {
  constexpr std::array kReading = {std::string_view("GET"), std::string_view("HEAD"),
                                   std::string_view("OPTIONS")};
  constexpr std::array kWriting = {std::string_view("POST"), std::string_view("PUT"),
                                   std::string_view("PATCH")};
  if (std::ranges::find(kReading, method) != kReading.end()) return security::kFileMapping.read;
  if (std::ranges::find(kWriting, method) != kWriting.end()) return security::kFileMapping.write;
  return method == "DELETE" ? security::kDelete : security::kFileMapping.all;
}

}  // namespace ktlsim::serve
