// `ktlsim load`, run to its end.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace ktlsim::system_tests {

struct LoadResult {
  int code = -1;
  std::string output;
  nlohmann::json json;

  const nlohmann::json& row() const { return json["operations"][0]; }
};

// Runs for half a second, unless `arguments` say otherwise.
LoadResult Load(const std::string& peer, const std::vector<std::string>& arguments);

// The names of the reasons why a result is not valid, without those that a machine busy elsewhere
// gives a sound run: the generator got its processor too late, or everything paused.
std::vector<std::string> ReasonsButABusyMachine(const nlohmann::json& json);

// Expects, but for those, that it completed operations without an error, and left nothing over.
void ExpectSound(const LoadResult& result);

}  // namespace ktlsim::system_tests
