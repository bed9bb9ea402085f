// The settings of `ktlsim serve`: one table, from which both the options of the command line and
// the keys of a file (config_file.h) are made, so that they cannot differ.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/command/option_table.h"
#include "kernel_sim/command/serve_config.h"

namespace ktlsim::command {

// Where settings go. A scope is the command line, a file's top level or one of its listeners; the
// first value for a list in a scope replaces the outer scope's list.
struct SettingScope {
  ServeConfig& config;
  ListenerConfig& listener;
  std::set<std::string, std::less<>> given = {};
};

struct Setting {
  using Form = SettingForm;

  const char* name;  // "leg-timeout"
  Form form;
  bool of_process;  // not of a listener
  const char* value_name;
  const char* help;
  // Empty: done. Else what is wrong with `value` and what would be right.
  std::string (*apply)(SettingScope& scope, const std::string& value);
};

std::span<const Setting> ServeSettings();
const Setting* FindSetting(std::string_view name);
// The name of a setting that looks like `name`. Empty: none does.
std::string SimilarSetting(std::string_view name);

// Gives `setting` its value, or a list one more. A flag takes "true" or "false". Empty: done.
std::string ApplySetting(const Setting& setting, SettingScope& scope, const std::string& value);

}  // namespace ktlsim::command
