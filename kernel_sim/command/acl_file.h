// The file of `serve --acl` and `access check --acl`: paths, and the security descriptors of what
// is below them.
//
//   [[path]]
//   prefix = "/"
//   sddl = "O:BAG:BAD:(A;;FR;;;AU)S:(AU;FA;FA;;;WD)"
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kernel_sim/security/sid.h"
#include "kernel_sim/serve/access_policy.h"

namespace ktlsim::command {

inline constexpr std::size_t kAclFileBytesMax = std::size_t{4} << 20;

// Names of SDDL such as DA mean those of `domain`. Null: *error is "NAME:LINE: key `x`: what is
// wrong; the remedy". Passive level.
std::shared_ptr<const serve::AccessPolicy> ParseAcl(std::string_view text, const std::string& name,
                                                    const std::optional<security::Sid>& domain,
                                                    std::string* error);
// The same from a file.
std::shared_ptr<const serve::AccessPolicy> LoadAcl(const std::string& path,
                                                   const std::optional<security::Sid>& domain,
                                                   std::string* error);

}  // namespace ktlsim::command
