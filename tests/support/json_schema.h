// Checks a JSON text against a JSON Schema, as far as our schemas use the language. A schema with a
// keyword that is not known here fails every check, so that no keyword is silently ignored.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace ktlsim {

// Empty: `value` conforms to `schema`; otherwise where it does not, and why.
std::string CheckJson(const nlohmann::json& schema, const nlohmann::json& value);

// The same for what `ktlsim COMMAND --json` has written, and the schema of the commands' results.
std::string CheckResult(const std::string& command, const nlohmann::json& result);

}  // namespace ktlsim
