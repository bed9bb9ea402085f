// SettingPlaces: where each setting of a listener comes from, for errors that show later.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace ktlsim::command {

class SettingPlaces {
 public:
  // `place`: "FILE:LINE". `value`: which one of a list; empty for other settings.
  void Note(std::string_view name, std::string_view value, std::string place);
  // The setting comes from an option now, or from nowhere.
  void Forget(std::string_view name);
  // "FILE:LINE: key `name`", or "--name" where no file has said it.
  std::string Of(std::string_view name, std::string_view value = {}) const;

 private:
  std::map<std::string, std::map<std::string, std::string, std::less<>>, std::less<>> places_;
};

}  // namespace ktlsim::command
