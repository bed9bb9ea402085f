// TomlTable: one table of a TOML file, read key by key. The first mistake of the file is kept, with
// its place and the remedy; what is read after it does not matter.
//
// One thread, passive level. Throws std::bad_alloc.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ktlsim::accounts {

class TomlMistake {
 public:
  // `file`: how messages call it.
  explicit TomlMistake(std::string file) : file_(std::move(file)) {}

  // "FILE:LINE: key `key`: `wrong`". An empty key is left out.
  void Tell(const toml::node& at, std::string_view key, std::string_view wrong);
  // "FILE: `wrong`".
  void Tell(std::string_view wrong);

  bool none() const { return text_.empty(); }
  const std::string& text() const { return text_; }

 private:
  const std::string file_;
  std::string text_;
};

struct NameOrNumber {
  std::string name;
  std::optional<std::int64_t> number;  // none: it is a name
};

class TomlTable {
 public:
  // Any other key than `known` is a mistake.
  TomlTable(const toml::table& table, std::initializer_list<std::string_view> known,
            TomlMistake& mistake);

  bool Has(std::string_view key) const { return table_.contains(key); }
  // Each returns whether the key is there with a value of the type; another type is a mistake.
  // Texts have no NUL.
  std::optional<std::string> Text(std::string_view key) const;
  std::optional<bool> Flag(std::string_view key) const;
  std::optional<NameOrNumber> NameOrNumberOf(std::string_view key) const;
  // Seconds since 1970, of a date-time with an offset.
  std::optional<std::int64_t> Time(std::string_view key) const;
  // A list of texts, or a text alone. `take` returns what is wrong with one, or "".
  void Texts(std::string_view key,
             const std::function<std::string(const std::string&)>& take) const;
  // A list of them.
  void NamesOrNumbers(std::string_view key,
                      const std::function<std::string(const NameOrNumber&)>& take) const;
  // A list of tables, written as [[key]].
  void Tables(std::string_view key, const std::function<void(const toml::table&)>& take) const;

  // A mistake in the value of `key`; if it is not there, in the table.
  void Tell(std::string_view key, std::string_view wrong) const;

 private:
  std::optional<NameOrNumber> NameOrNumberAt(const toml::node& node, std::string_view key) const;

  const toml::table& table_;
  TomlMistake& mistake_;
};

}  // namespace ktlsim::accounts
