#include "kernel_sim/command/serve_options.h"

#include <CLI/CLI.hpp>

namespace ktlsim::command {
namespace {

using Form = Setting::Form;

// A value on its own; what it has to do with others is seen when all are there.
CLI::Validator CheckOf(const Setting& setting) {
  return CLI::Validator(
      [&setting](std::string& value) {
        ServeConfig config;
        ListenerConfig listener;
        SettingScope scope{config, listener};
        return ApplySetting(setting, scope, value);
      },
      "");
}

}  // namespace

void ServeOptions::AddTo(CLI::App& app) {
  app.add_option("--config", config_file_,
                 "Read a TOML file whose keys are the names of these options; [[listener]] tables "
                 "make several listeners")
      ->type_name("FILE");
  app.add_flag("--check", check_,
               "Check configuration, certificates and folders, say what is wrong, and end");
  for (const Setting& setting : ServeSettings()) AddOption(app, setting);
}

void ServeOptions::AddOption(CLI::App& app, const Setting& setting) {
  Option& option = options_.emplace_back();
  option.setting = &setting;
  const std::string name = std::string("--") + setting.name;
  if (setting.form == Form::kFlag) {
    app.add_flag(name, option.flag, setting.help);
    return;
  }
  CLI::Option* const added = app.add_option(name, option.values, setting.help)
                                 ->type_name(setting.value_name)
                                 ->check(CheckOf(setting))
                                 ->allow_extra_args(false);
  if (setting.form == Form::kOne) added->expected(1);
}

std::string ServeOptions::Apply(SettingScope& scope) const {
  for (const Option& option : options_) {
    std::vector<std::string> values = option.values;
    if (option.flag) values = {"true"};
    for (const std::string& value : values) {
      const std::string wrong = ApplySetting(*option.setting, scope, value);
      if (!wrong.empty()) return std::string("--") + option.setting->name + ": " + wrong;
    }
  }
  return {};
}

}  // namespace ktlsim::command
