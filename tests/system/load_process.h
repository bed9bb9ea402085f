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

// Whether the verdict names the reason.
bool HasReason(const nlohmann::json& json, const std::string& name);
// The names of the reasons why a result is not valid, without those that a machine gives a sound
// run: of an open loop that the generator got its processor too late, or not for the whole rate; of
// a closed loop that everything paused, or that the server is faster than the generator.
std::vector<std::string> ReasonsButTheMachine(const nlohmann::json& json);

// Expects, but for those, that it completed operations without an error, and left nothing over.
void ExpectSound(const LoadResult& result);

}  // namespace ktlsim::system_tests
