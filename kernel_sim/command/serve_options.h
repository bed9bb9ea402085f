// The options of `ktlsim serve` on the command line, made from its settings.
#pragma once

#include <string>

#include "kernel_sim/command/option_table.h"
#include "kernel_sim/command/serve_settings.h"

namespace CLI {
class App;
}  // namespace CLI

namespace ktlsim::command {

class ServeOptions {
 public:
  // Must live until `app` has parsed.
  void AddTo(CLI::App& app);

  // Applies the options, any number of times. Empty: done; else "--option: what is wrong".
  std::string Apply(SettingScope& scope) const;

  const std::string& config_file() const { return config_file_; }
  bool check() const { return check_; }

 private:
  OptionTable table_;
  std::string config_file_;
  bool check_ = false;
};

}  // namespace ktlsim::command
