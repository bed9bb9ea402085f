#include "kernel_sim/command/option_table.h"

#include <utility>

#include <CLI/CLI.hpp>

namespace ktlsim::command {

void OptionTable::AddTo(CLI::App& app, std::vector<OptionRow> rows) {
  for (OptionRow& row : rows) {
    Option& option = options_.emplace_back();
    option.row = std::move(row);
    const std::string name =
        (option.row.letter.empty() ? "" : "-" + option.row.letter + ",") + "--" + option.row.name;
    if (option.row.form == SettingForm::kFlag) {
      app.add_flag(name, option.flag, option.row.help);
      continue;
    }
    CLI::Option* const added =
        app.add_option(name, option.values, option.row.help)
            ->type_name(option.row.value_name)
            ->check(CLI::Validator(
                [&option](std::string& value) { return option.row.check(value); }, ""))
            ->allow_extra_args(false);
    if (option.row.form == SettingForm::kOne) {
      added->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
  }
}

std::string OptionTable::Apply(
    const std::function<std::string(std::size_t, const std::string&)>& apply) const {
  std::size_t index = 0;
  for (const Option& option : options_) {
    std::vector<std::string> values = option.values;
    if (option.flag) values = {"true"};
    for (const std::string& value : values) {
      const std::string wrong = apply(index, value);
      if (!wrong.empty()) return "--" + option.row.name + ": " + wrong;
    }
    ++index;
  }
  return {};
}

}  // namespace ktlsim::command
