#include "kernel_sim/command/serve_options.h"

#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

namespace ktlsim::command {
namespace {

// A value on its own; it is checked against others when all are there.
std::string Check(const Setting& setting, const std::string& value) {
  ServeConfig config;
  ListenerConfig listener;
  SettingScope scope{config, listener};
  return ApplySetting(setting, scope, value);
}

}  // namespace

void ServeOptions::AddTo(CLI::App& app) {
  app.add_option("--config", config_file_,
                 "Read a TOML file whose keys are the names of these options; [[listener]] tables "
                 "make several listeners")
      ->type_name("FILE");
  app.add_flag(
      "--check", check_,
      "Check configuration, certificates, folders and addresses, say what is wrong, and end");
  std::vector<OptionRow> rows;
  for (const Setting& setting : ServeSettings()) {
    rows.push_back(
        {.name = setting.name,
         .letter = "",
         .form = setting.form,
         .value_name = setting.value_name,
         .help = setting.help,
         .check = [&setting](const std::string& value) { return Check(setting, value); }});
  }
  table_.AddTo(app, std::move(rows));
}

std::string ServeOptions::Apply(SettingScope& scope) const {
  return table_.Apply([&scope](std::size_t row, const std::string& value) {
    return ApplySetting(ServeSettings()[row], scope, value);
  });
}

}  // namespace ktlsim::command
