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

// Half a second of it, unless `arguments` say otherwise.
LoadResult Load(const std::string& peer, const std::vector<std::string>& arguments);

// It did something, without an error, and left nothing.
void ExpectSound(const LoadResult& result);

}  // namespace ktlsim::system_tests
