#include "kernel_sim/command/acl_file.h"

#include <toml++/toml.h>

#include <utility>

#include <fmt/format.h>

#include "kernel_sim/accounts/toml_table.h"
#include "kernel_sim/base/file.h"
#include "kernel_sim/base/toml_depth.h"
#include "kernel_sim/command/values.h"
#include "kernel_sim/security/sddl.h"

namespace ktlsim::command {
namespace {

using accounts::TomlMistake;
using accounts::TomlTable;

// What a descriptor lacks. "": nothing.
std::string JudgeDescriptor(const security::DescriptorView& view) {
  if (!view.owner || !view.group) {
    return "the descriptor needs an owner and a group, O: and G:, such as O:BAG:BA";
  }
  if (!view.dacl_present()) {
    return "there is no D:, which would grant everything to everybody; D:(A;;FR;;;AU) lets those "
           "read who have an account, D:NO_ACCESS_CONTROL is open to all";
  }
  return {};
}

std::string ReadDescriptor(const std::string& text, const std::optional<security::Sid>& domain,
                           std::optional<security::Descriptor>* descriptor) {
  const security::SddlError error = security::ParseSddl(text, domain, descriptor);
  if (error.fault != security::Fault::kNone || !*descriptor) {
    return fmt::format("byte {}: {}; `ktlsim sddl explain` shows the place", error.position + 1,
                       error.what);
  }
  return JudgeDescriptor((*descriptor)->view());
}

class AclReader {
 public:
  AclReader(std::string name, const std::optional<security::Sid>& domain)
      : name_(std::move(name)), domain_(domain), mistake_(name_) {}

  std::shared_ptr<const serve::AccessPolicy> Read(const toml::table& top) {
    const TomlTable table(top, {"path"}, mistake_);
    table.Tables("path", [this](const toml::table& entry) { ReadPath(entry); });
    if (policy_->size() == 0) {
      mistake_.Tell("there is no path in it; write [[path]] with prefix and sddl");
    }
    return mistake_.none() ? policy_ : nullptr;
  }
  const std::string& mistake() const { return mistake_.text(); }

 private:
  void ReadPath(const toml::table& entry) {
    const TomlTable table(entry, {"prefix", "sddl"}, mistake_);
    const std::optional<std::string> prefix = table.Text("prefix");
    const std::optional<std::string> sddl = table.Text("sddl");
    if (!prefix) return table.Tell("prefix", "a path is needed, such as \"/private\"");
    if (!sddl) return table.Tell("sddl", "a descriptor is needed, such as O:BAG:BAD:(A;;FR;;;AU)");
    std::optional<security::Descriptor> descriptor;
    std::string wrong = ReadDescriptor(*sddl, domain_, &descriptor);
    if (!wrong.empty() || !descriptor) return table.Tell("sddl", wrong);
    wrong = policy_->Add({.prefix = *prefix,
                          .descriptor = std::move(*descriptor),
                          .place = fmt::format("{}:{}", name_, entry.source().begin.line)});
    if (!wrong.empty()) table.Tell("prefix", wrong);
  }

  const std::string name_;
  const std::optional<security::Sid>& domain_;
  TomlMistake mistake_;
  const std::shared_ptr<serve::AccessPolicy> policy_ = std::make_shared<serve::AccessPolicy>();
};

}  // namespace

std::shared_ptr<const serve::AccessPolicy> ParseAcl(std::string_view text, const std::string& name,
                                                    const std::optional<security::Sid>& domain,
                                                    std::string* error) {
  if (const std::size_t line = LineTooDeep(text); line != 0) {
    *error = fmt::format("{}:{}: nested too deeply; a policy has [[path]] tables only", name, line);
    return nullptr;
  }
  try {
    AclReader reader(name, domain);
    std::shared_ptr<const serve::AccessPolicy> policy = reader.Read(toml::parse(text, name));
    if (policy == nullptr) *error = reader.mistake();
    return policy;
  } catch (const toml::parse_error& wrong) {
    *error =
        fmt::format("{}:{}: not TOML: {}", name, wrong.source().begin.line, wrong.description());
    return nullptr;
  }
}

std::shared_ptr<const serve::AccessPolicy> LoadAcl(const std::string& path,
                                                   const std::optional<security::Sid>& domain,
                                                   std::string* error) {
  const Result<FileText> file = ReadFile(path.c_str(), kAclFileBytesMax);
  if (file) return ParseAcl(file->text(), path, domain, error);
  *error = fmt::format("{}: {}; name a file that can be read", Printable(path),
                       file.status().ToString());
  return nullptr;
}

}  // namespace ktlsim::command
