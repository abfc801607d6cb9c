// retort completion: scripts for shells, from the declarations of the options.
#include <fmt/ranges.h>
#include <map>
#include <ostream>

#include "cli/arguments.h"
#include "cli/estimate.h"
#include "continual/continual.h"
#include "core/registry.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/eval/evaluate.h"
#include "retort/methods/distill.h"

namespace retort::cli {
namespace {

using Words = std::vector<std::string>;

/// What a shell offers after a flag.
struct Flag {
  std::string help;
  Words values;           // empty: none is known
  bool switched = false;  // yes or no, and may stand alone
  bool path = false;      // a file or folder
};

/// What a shell offers for a command.
struct Offer {
  std::map<std::string, Flag> flags;  // by name with dashes, without the two in front
  Words positionals;
};

std::string joined(const Words& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

/// The words that an option takes although its declaration, on a lower level, cannot know them.
Words known_values(const Option& option) {
  if (!option.limits.choices.empty()) return option.limits.choices;
  if (option.type_name() == "yes|no") return {"yes", "no"};
  if (option.name == "method") return names_of(std::span(methods::method_table()));
  if (option.name == "protocol") return names_of(std::span(eval::protocols()));
  if (option.name == "device") return {"cpu", "cuda"};
  if (option.name == "network" || option.name == "networks")
    return names_of(std::span(nets::network_table()));
  return {};
}

/// The command lines whose options together are all that a command may take.
std::vector<Arguments> variants_of(const std::string& command) {
  std::vector<Arguments> lines{{}};
  const bool streams = command == "continual";
  if (command == "distill" || streams) {
    for (const auto& entry : methods::method_table()) lines.push_back({"--method=" + entry.name});
    for (const auto& entry : synthetic::parametrisation_table())
      lines.push_back({"--parametrisation=" + entry.name});
  }
  if (streams)
    for (const auto& kind : continual::stream_kinds()) lines.push_back({"--stream=" + kind.name});
  if (command == "study") lines.push_back({"bn-statistics"});
  return lines;
}

Offer offer_of(const Environment& environment, const Command& command) {
  Offer offer;
  Environment asking = environment;
  asking.survey = [&](OptionSet& options, const std::vector<Positional>& positionals) {
    for (const Option& option : options.all()) {
      const std::string type = option.type_name();
      const Words values = known_values(option);
      const bool path = values.empty() && (type == "text" || type == "list");
      offer.flags.emplace(option.flag().substr(2),
                          Flag{option.help, values, type == "yes|no", path});
    }
    for (const Positional& place : positionals)
      offer.positionals.insert(offer.positionals.end(), place.choices.begin(), place.choices.end());
  };
  for (const Arguments& line : variants_of(command.name)) command.run(asking, line);
  if (command.name == "continual")
    for (const char* baseline : {"online", "replay"})
      offer.flags.at("method").values.emplace_back(baseline);
  if (command.name == "study") offer.positionals.emplace_back("bn-statistics");
  offer.flags.emplace("help", Flag{"Print this help message and exit", {}, true});
  if (can_estimate(command.name))
    offer.flags.emplace("estimate", Flag{"Say how long it will take, and stop there", {}, true});
  return offer;
}

Words flags_of(const Offer& offer) {
  Words flags;
  for (const auto& [name, flag] : offer.flags) flags.push_back("--" + name);
  return flags;
}

/// bash joins what stands around "=" into the word before it: COMP_WORDS has "--x", "=", "y".
std::string bash_script(const std::map<std::string, Offer>& offers, const Words& commands) {
  std::string text = fmt::format(
      "_retort() {{\n"
      "  local word=\"${{COMP_WORDS[COMP_CWORD]}}\" before=\"${{COMP_WORDS[COMP_CWORD-1]}}\"\n"
      "  local flags='' values='' files=yes\n"
      "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
      "    COMPREPLY=($(compgen -W \"{} --help --version\" -- \"$word\")); return\n"
      "  fi\n"
      "  if [ \"$word\" = '=' ]; then word=''\n"
      "  elif [ \"$before\" = '=' ]; then before=\"${{COMP_WORDS[COMP_CWORD-2]}}\"; fi\n"
      "  case \"${{COMP_WORDS[1]}}\" in\n",
      joined(commands));
  for (const auto& [command, offer] : offers) {
    text += fmt::format("  {})\n    flags='{}'\n    case \"$before\" in\n", command,
                        joined(flags_of(offer)));
    for (const auto& [name, flag] : offer.flags)
      if (!flag.values.empty())
        text += fmt::format("    --{}) values='{}'{} ;;\n", name, joined(flag.values),
                            flag.switched ? "" : "; files=no");
    text +=
        fmt::format("    --*) ;;\n    *) values='{}' ;;\n    esac ;;\n", joined(offer.positionals));
  }
  return text +
         "  esac\n"
         "  if [[ \"$word\" == -* ]]; then COMPREPLY=($(compgen -W \"$flags\" -- \"$word\")); "
         "return; fi\n"
         "  COMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
         "  if [ $files = yes ]; then COMPREPLY+=($(compgen -f -- \"$word\")); fi\n"
         "}\n"
         "complete -o filenames -F _retort retort\n";
}

/// Inside single quotes fish reads \\ and \' alone.
std::string fish_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\\' || c == '\'') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string fish_script(const std::map<std::string, Offer>& offers) {
  std::string text;
  for (const Command& command : command_table())
    text += fmt::format("complete -c retort -n __fish_use_subcommand -f -a {} -d {}\n",
                        command.name, fish_quoted(command.summary));
  for (const auto& [command, offer] : offers) {
    const std::string here = fmt::format("complete -c retort -n {} ",
                                         fish_quoted("__fish_seen_subcommand_from " + command));
    if (!offer.positionals.empty())
      text += here + "-a " + fish_quoted(joined(offer.positionals)) + "\n";
    for (const auto& [name, flag] : offer.flags) {
      text += here + "-l " + name;
      if (!flag.switched) text += flag.path ? " -r" : " -x";
      if (!flag.values.empty() && !flag.switched) text += " -a " + fish_quoted(joined(flag.values));
      text += " -d " + fish_quoted(flag.help) + "\n";
    }
  }
  return text;
}

}  // namespace

int run_completion(const Environment& environment, const Arguments& arguments) {
  const Words shells{"bash", "zsh", "fish"};
  std::string shell;
  bool json = false;
  OptionSet set;
  set.add("json", json, "print one JSON document on standard output");
  const Usage usage{"completion", "Prints a completion script.",
                    "Examples:\n  source <(retort completion bash)\n"
                    "  retort completion fish > ~/.config/fish/completions/retort.fish\n"};
  if (!parse(environment, usage, arguments, set,
             {{"shell", "bash, zsh or fish", &shell, true, shells}}))
    return 0;
  if (std::find(shells.begin(), shells.end(), shell) == shells.end())
    throw ConfigError::unknown("printing a completion script", "shell", shell, shells);
  std::map<std::string, Offer> offers;
  Words commands;
  for (const Command& command : command_table()) {
    offers.emplace(command.name, offer_of(environment, command));
    commands.push_back(command.name);
  }
  std::string script = shell == "fish" ? fish_script(offers) : bash_script(offers, commands);
  if (shell == "zsh")
    script =
        "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\n"
        "autoload -U +X bashcompinit && bashcompinit\n" +
        script;
  if (json)
    environment.out << json_text(Json{{"shell", shell}, {"script", script}}, 2) << "\n";
  else
    environment.out << script;
  return 0;
}

}  // namespace retort::cli
