// Checks a JSON text against a JSON Schema, as far as ours use it: a schema with a keyword that is
// not known here fails every check, so that nothing is taken for checked that was not.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace ktlsim {

// Empty: `value` is as `schema` says; else where it is not, and why.
std::string CheckJson(const nlohmann::json& schema, const nlohmann::json& value);

// The schema of the commands' results. Null when it cannot be read.
nlohmann::json ResultsSchema();

}  // namespace ktlsim
