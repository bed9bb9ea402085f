#include "kernel_sim/accounts/toml_table.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

namespace ktlsim::accounts {
namespace {

// A date-time of TOML has a year of four digits and a day that exists.
std::int64_t SecondsOf(const toml::date_time& value, std::int64_t offset_minutes) {
  const std::chrono::year_month_day day{std::chrono::year(value.date.year),
                                        std::chrono::month(value.date.month),
                                        std::chrono::day(value.date.day)};
  const std::int64_t days = std::chrono::sys_days(day).time_since_epoch().count();
  const std::int64_t hours = days * 24 + value.time.hour;
  const std::int64_t minutes = hours * 60 + value.time.minute - offset_minutes;
  return minutes * 60 + value.time.second;
}

}  // namespace

void TomlMistake::Tell(const toml::node& at, std::string_view key, std::string_view wrong) {
  if (!none()) return;
  text_ = key.empty()
              ? fmt::format("{}:{}: {}", file_, at.source().begin.line, wrong)
              : fmt::format("{}:{}: key `{}`: {}", file_, at.source().begin.line, key, wrong);
}

void TomlMistake::Tell(std::string_view wrong) {
  if (none()) text_ = fmt::format("{}: {}", file_, wrong);
}

TomlTable::TomlTable(const toml::table& table, std::initializer_list<std::string_view> known,
                     TomlMistake& mistake)
    : table_(table), mistake_(mistake) {
  for (const auto& [key, node] : table) {
    if (std::ranges::find(known, key.str()) != known.end()) continue;
    // What a file may say of itself is shown in one line.
    std::string shown(key.str());
    std::ranges::replace_if(
        shown, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    mistake.Tell(node, shown, fmt::format("unknown; the keys here are {}", fmt::join(known, ", ")));
  }
}

void TomlTable::Tell(std::string_view key, std::string_view wrong) const {
  const toml::node* const node = table_.get(key);
  mistake_.Tell(node != nullptr ? *node : static_cast<const toml::node&>(table_), key, wrong);
}

std::optional<std::string> TomlTable::Text(std::string_view key) const {
  const toml::node* const node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  const auto* const text = node->as_string();
  if (text == nullptr) {
    Tell(key, "a text is needed, in quotes");
    return std::nullopt;
  }
  if (text->get().find('\0') != std::string::npos) {
    Tell(key, "a NUL stands in it; remove it");
    return std::nullopt;
  }
  return text->get();
}

std::optional<bool> TomlTable::Flag(std::string_view key) const {
  const toml::node* const node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  const auto* const flag = node->as_boolean();
  if (flag != nullptr) return flag->get();
  Tell(key, "write true or false");
  return std::nullopt;
}

std::optional<NameOrNumber> TomlTable::NameOrNumberOf(std::string_view key) const {
  const toml::node* const node = table_.get(key);
  return node != nullptr ? NameOrNumberAt(*node, key) : std::nullopt;
}

std::optional<NameOrNumber> TomlTable::NameOrNumberAt(const toml::node& node,
                                                      std::string_view key) const {
  if (const auto* const number = node.as_integer()) return NameOrNumber{{}, number->get()};
  const auto* const text = node.as_string();
  if (text != nullptr && !text->get().empty() && text->get().find('\0') == std::string::npos) {
    return NameOrNumber{text->get(), std::nullopt};
  }
  mistake_.Tell(node, key, "a name in quotes or a whole number is needed");
  return std::nullopt;
}

std::optional<std::int64_t> TomlTable::Time(std::string_view key) const {
  const toml::node* const node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  const auto* const time = node->as_date_time();
  const std::optional<toml::time_offset> offset =
      time != nullptr ? time->get().offset : std::optional<toml::time_offset>();
  if (offset) return SecondsOf(time->get(), offset->minutes);
  Tell(key, "a time with its offset is needed, such as 2030-12-31T23:59:59Z, without quotes");
  return std::nullopt;
}

void TomlTable::Texts(std::string_view key,
                      const std::function<std::string(const std::string&)>& take) const {
  const toml::node* const node = table_.get(key);
  if (node == nullptr) return;
  const auto take_one = [&](const toml::node& one) {
    const auto* const text = one.as_string();
    if (text == nullptr) {
      mistake_.Tell(one, key, "a text or a list of texts is needed");
    } else if (text->get().find('\0') != std::string::npos) {
      mistake_.Tell(one, key, "a NUL stands in it; remove it");
    } else if (const std::string wrong = take(text->get()); !wrong.empty()) {
      mistake_.Tell(one, key, wrong);
    }
  };
  const toml::array* const list = node->as_array();
  if (list == nullptr) return take_one(*node);
  for (const toml::node& one : *list) take_one(one);
}

void TomlTable::NamesOrNumbers(std::string_view key,
                               const std::function<std::string(const NameOrNumber&)>& take) const {
  const toml::node* const node = table_.get(key);
  if (node == nullptr) return;
  const toml::array* const list = node->as_array();
  if (list == nullptr) return Tell(key, "a list of names and numbers is needed");
  for (const toml::node& one : *list) {
    const std::optional<NameOrNumber> value = NameOrNumberAt(one, key);
    if (!value) continue;
    if (const std::string wrong = take(*value); !wrong.empty()) mistake_.Tell(one, key, wrong);
  }
}

void TomlTable::Tables(std::string_view key,
                       const std::function<void(const toml::table&)>& take) const {
  const toml::node* const node = table_.get(key);
  if (node == nullptr) return;
  const toml::array* const list = node->as_array();
  if (list == nullptr || !list->is_array_of_tables()) {
    return Tell(key, fmt::format("write [[{}]], with two brackets on each side", key));
  }
  for (const toml::node& one : *list) take(*one.as_table());
}

}  // namespace ktlsim::accounts
