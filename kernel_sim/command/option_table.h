// Options of a command, made from a table of settings, so that the command line, its help, the
// manual page and the checks cannot differ.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace ktlsim::command {

enum class SettingForm : std::uint8_t {
  kOne,   // one value; of several the last one counts
  kList,  // may be given several times
  kFlag,
};

// One setting of a command. `Scope` is what it changes.
template <typename Scope>
struct CommandSetting {
  const char* name;    // "queue-depth"
  const char* letter;  // "c": -c is the same; "" for none
  SettingForm form;
  const char* value_name;  // "N"; "" for a flag
  const char* help;        // ends with the default in brackets
  // Empty: done. Else what is wrong with `value` and what would be right. A flag is given "true".
  std::string (*apply)(Scope& scope, const std::string& value);
};

// What the parser of the command line needs of one setting.
struct OptionRow {
  std::string name;
  std::string letter;
  SettingForm form = SettingForm::kOne;
  std::string value_name;
  std::string help;
  std::function<std::string(const std::string& value)> check;  // of one value alone
};

class OptionTable {
 public:
  OptionTable() = default;
  OptionTable(const OptionTable&) = delete;
  OptionTable& operator=(const OptionTable&) = delete;

  // Adds an option for each row. This object must live until `app` has parsed.
  void AddTo(CLI::App& app, std::vector<OptionRow> rows);

  // Calls `apply` with the index of a row and a value, for each value that was given, in the order
  // of the rows. Empty: all were taken; else "--option: what is wrong" for the first that was not.
  std::string Apply(
      const std::function<std::string(std::size_t row, const std::string& value)>& apply) const;

 private:
  struct Option {
    OptionRow row;
    std::vector<std::string> values;
    bool flag = false;
  };

  std::list<Option> options_;  // the parser has their addresses
};

// The options of a table of settings.
template <typename Scope>
class CommandOptions {
 public:
  explicit CommandOptions(std::span<const CommandSetting<Scope>> settings) : settings_(settings) {}

  // As OptionTable::AddTo.
  void AddTo(CLI::App& app) {
    std::vector<OptionRow> rows;
    for (const CommandSetting<Scope>& setting : settings_) {
      rows.push_back({.name = setting.name,
                      .letter = setting.letter,
                      .form = setting.form,
                      .value_name = setting.value_name,
                      .help = setting.help,
                      .check = [&setting](const std::string& value) {
                        Scope scratch{};
                        return setting.apply(scratch, value);
                      }});
    }
    table_.AddTo(app, std::move(rows));
  }

  // Gives `scope` what was said on the command line. As OptionTable::Apply.
  std::string Apply(Scope& scope) const {
    return table_.Apply([this, &scope](std::size_t row, const std::string& value) {
      return settings_[row].apply(scope, value);
    });
  }

 private:
  std::span<const CommandSetting<Scope>> settings_;
  OptionTable table_;
};

}  // namespace ktlsim::command
