// An option is declared once: its name, the field it sets, its help, its bounds. Command-line
// flags, TOML keys, validation, help text, `describe` and the record of a run all come from that.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace retort {

/// What values are accepted. Bounds are inclusive.
struct Limits {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};  ///< for text and lists: the accepted words; empty: any
};

/// Whether an option takes part in the result of a run.
enum class Role {
  kResult,     ///< changes the result; a run folder refuses another value
  kExecution,  ///< how and where it runs (threads, out, checkpoint_every); free to differ
};

/// One declared option: `name` in snake_case; the flag is --name with dashes.
struct Option {
  using Target = std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*>;
  std::string name;
  std::string help;
  std::string group;
  Limits limits;
  Role role = Role::kResult;
  Target target;
  std::string default_text;
  bool was_set = false;

  std::string flag() const;       ///< "--images-per-class"
  std::string type_name() const;  ///< "yes|no", "integer", "number", "text", "list"
  std::string accepted() const;   ///< "an integer of at least 1", "one of a, b"
  std::string text() const;       ///< the current value as text; lists joined by commas
};

/// Collects everything wrong with a recipe or command line, so that all is reported at once.
class Problems {
 public:
  void add(std::string problem) { problems_.push_back(std::move(problem)); }
  bool empty() const { return problems_.empty(); }
  const std::vector<std::string>& all() const { return problems_; }
  /// Throws ConfigError with all problems, if there are any.
  void raise(const std::string& doing) const;

 private:
  std::vector<std::string> problems_;
};

/// The declared options of a command. Holds pointers to the fields: the fields must outlive it.
class OptionSet {
 public:
  /// Heading for the options added from here on ("Data", "Method dm").
  void group(std::string title) { group_ = std::move(title); }

  /// Declares an option on a field; the field's value now is the default.
  template <class Field>
  Option& add(std::string name, Field& field, std::string help, Limits limits = {},
              Role role = Role::kResult) {
    return insert(std::move(name), &field, std::move(help), std::move(limits), role);
  }

  const std::vector<Option>& all() const { return options_; }
  std::vector<std::string> names() const;
  const Option* find(std::string_view name) const;

  /// Sets an option from text. A wrong name or value is added to `problems` with its `origin`
  /// ("--seed", "recipe.toml: seed"). `name` may be written with dashes.
  void set(std::string_view name, const std::string& text, const std::string& origin,
           Problems& problems);
  /// Reads a TOML file of flat keys (arrays become lists) into the options. `ignore` are keys that
  /// the caller has dealt with itself (such as method).
  void read_toml(const std::string& path, Problems& problems,
                 const std::vector<std::string>& ignore = {});
  /// All options as TOML, one "key = value" a line, in order of declaration.
  std::string toml() const;

 private:
  Option& insert(std::string name, Option::Target target, std::string help, Limits limits,
                 Role role);
  std::vector<Option> options_;
  std::string group_;
};

/// Flat TOML file as (key, text) pairs in file order; throws DataError on a syntax error.
std::vector<std::pair<std::string, std::string>> read_flat_toml(const std::string& path);
/// The same of a text; `path` is for messages.
std::vector<std::pair<std::string, std::string>> parse_flat_toml(const std::string& text,
                                                                 const std::string& path);

}  // namespace retort
