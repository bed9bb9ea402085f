#include "kernel_sim/command/setting_places.h"

#include <utility>

#include <fmt/format.h>

namespace ktlsim::command {

void SettingPlaces::Note(std::string_view name, std::string_view value, std::string place) {
  places_[std::string(name)][std::string(value)] = std::move(place);
}

void SettingPlaces::Forget(std::string_view name) {
  if (const auto found = places_.find(name); found != places_.end()) places_.erase(found);
}

std::string SettingPlaces::Of(std::string_view name, std::string_view value) const {
  if (const auto setting = places_.find(name); setting != places_.end()) {
    const auto place = setting->second.find(value);
    if (place != setting->second.end()) return fmt::format("{}: key `{}`", place->second, name);
  }
  return fmt::format("--{}", name);
}

}  // namespace ktlsim::command
