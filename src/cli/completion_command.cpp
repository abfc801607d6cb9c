// retort completion: scripts for shells, from the same declarations as the options.
#include <ostream>
#include <set>

#include "cli/arguments.h"
#include "retort/core/error.h"
#include "retort/core/registry.h"
#include "retort/eval/continual.h"
#include "retort/eval/evaluate.h"
#include "retort/methods/distill.h"
#include "retort/train/experts.h"
#include "retort/train/squeeze.h"

namespace retort::cli {
namespace {

/// Every flag of the long commands, once.
std::string all_flags() {
  std::set<std::string> flags{"--help",    "--out",          "--recipe",   "--format", "--grid",
                              "--which",   "--export-npz",   "--markdown", "--uses",   "--name",
                              "--teacher", "--probe-epochs", "--repeat",   "--gauge"};
  OptionSet set;
  methods::DistillOptions loop;
  data::DataOptions data;
  eval::EvalOptions eval;
  MachineOptions machine;
  train::ExpertOptions experts;
  train::SqueezeOptions squeeze;
  loop.declare(set);
  experts.declare(set);
  squeeze.declare(set);
  data.declare(set);
  eval.declare(set);
  machine.declare(set);
  std::vector<eval::ContinualOptions> streams(eval::stream_kinds().size());
  for (size_t i = 0; i < streams.size(); ++i) {
    streams[i].take(eval::stream_kinds()[i]);
    streams[i].declare(set);
  }
  std::vector<std::unique_ptr<methods::Method>> kept;
  for (const auto& entry : methods::method_table()) {
    kept.push_back(entry.make());
    kept.back()->declare(set);
  }
  std::vector<std::unique_ptr<synthetic::ParametrisationKind>> kinds;
  for (const auto& entry : synthetic::parametrisation_table()) {
    kinds.push_back(entry.make());
    kinds.back()->declare(set);
  }
  for (const Option& option : set.all()) flags.insert(option.flag());
  return fmt::format("{}", fmt::join(flags, " "));
}

std::string all_commands() {
  std::vector<std::string> names;
  for (const Command& command : command_table()) names.push_back(command.name);
  return fmt::format("{}", fmt::join(names, " "));
}

std::string all_methods() {
  return fmt::format("{}", fmt::join(names_of(std::span(methods::method_table())), " "));
}

std::string bash_script() {
  return fmt::format(
      "_retort() {{\n"
      "  local word=\"${{COMP_WORDS[COMP_CWORD]}}\" before=\"${{COMP_WORDS[COMP_CWORD-1]}}\"\n"
      "  if [ \"$COMP_CWORD\" = 1 ]; then COMPREPLY=($(compgen -W \"{}\" -- \"$word\"))\n"
      "  elif [ \"$before\" = --method ]; then COMPREPLY=($(compgen -W \"{}\" -- \"$word\"))\n"
      "  elif [[ \"$word\" == -* ]]; then COMPREPLY=($(compgen -W \"{}\" -- \"$word\"))\n"
      "  else COMPREPLY=($(compgen -f -- \"$word\")); fi\n"
      "}}\n"
      "complete -o filenames -F _retort retort\n",
      all_commands(), all_methods(), all_flags());
}

std::string fish_script() {
  std::string text;
  for (const Command& command : command_table())
    text += fmt::format("complete -c retort -n __fish_use_subcommand -f -a {} -d '{}'\n",
                        command.name, command.summary);
  text += fmt::format("complete -c retort -l method -x -a '{}'\n", all_methods());
  std::istringstream flags(all_flags());
  for (std::string flag; flags >> flag;)
    if (flag != "--method") text += "complete -c retort -l " + flag.substr(2) + "\n";
  return text;
}

}  // namespace

int run_completion(const Environment& environment, const Arguments& arguments) {
  std::string shell;
  OptionSet set;
  const Usage usage{"completion", "Prints a completion script.",
                    "Examples:\n  source <(retort completion bash)\n"
                    "  retort completion fish > ~/.config/fish/completions/retort.fish\n"};
  if (!parse(environment, usage, arguments, set, {{"shell", "bash, zsh or fish", &shell, true}}))
    return 0;
  if (shell == "bash") {
    environment.out << bash_script();
  } else if (shell == "zsh") {
    environment.out << "autoload -U +X bashcompinit && bashcompinit\n" << bash_script();
  } else if (shell == "fish") {
    environment.out << fish_script();
  } else {
    throw ConfigError::unknown("printing a completion script", "shell", shell,
                               {"bash", "zsh", "fish"});
  }
  return 0;
}

}  // namespace retort::cli
