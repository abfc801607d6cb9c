// retort squeeze: training the teacher that images are recovered from.
#include <cmath>
#include <ostream>

#include "cli/arguments.h"
#include "cli/host.h"
#include "core/file.h"
#include "core/leftovers.h"
#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "teachers/squeeze.h"

namespace retort::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  retort squeeze --data cifar-10-batches-bin --network resnet18-bn --epochs 50 --out "
    "teacher/\n"
    "  retort squeeze --data cifar-10-batches-bin --objective moco --network convnet-w32-bn "
    "--batch-size 256 --learning-rate 0.06 --epochs 60 --statistics recalibrated --out moco/\n"
    "  retort squeeze --data imagenet.pack --network resnet50-bn-imagenet --warmup-epochs 5 "
    "--augmentation crop_flip --keep-every 10 --out teacher/\n\n"
    "Training that was stopped or killed goes on when the same command is given again, and ends "
    "in\nthe same bytes.\n";

/// Everything that one command line of `squeeze` sets.
struct Settings {
  teachers::SqueezeOptions squeeze;
  data::DataOptions data;
  MachineOptions machine;
  std::string out;
  OptionSet options;

  Settings() {
    squeeze.declare(options);
    options.group("Data");
    data.declare(options);
    machine.declare(options);
    options.group("Run");
    options.add("out", out, "the folder of the teacher", {}, Role::kExecution);
  }
};

Json to_json(const std::string& out, const teachers::SqueezeInput& input,
             const teachers::SqueezeOutcome& outcome) {
  return {{"out", teachers::teacher_path(out).string()},
          {"data", input.data.name},
          {"network", input.network.name()},
          {"objective", input.options.objective},
          {"epochs", outcome.epochs},
          {"loss", std::isfinite(outcome.loss) ? Json(outcome.loss) : Json()},
          {"accuracy", outcome.teacher.validation_accuracy},
          {"already_finished", !outcome.made},
          {"peak_memory_bytes", peak_memory_bytes()}};
}

/// Begins or opens the folder, whose lock must be held.
void open_folder(const Settings& settings) {
  const auto recipe = std::filesystem::path(settings.out) / "recipe.toml";
  remove_leftovers_in(settings.out);
  if (!std::filesystem::exists(recipe) || read_file(recipe) != settings.options.toml())
    write_atomically(recipe, settings.options.toml());
}

}  // namespace

int run_squeeze(const Environment& environment, const Arguments& arguments) {
  Settings settings;
  const Usage usage{"squeeze", "Trains a teacher on the whole set, supervised or self-supervised.",
                    kExamples};
  if (!parse(environment, usage, arguments, settings.options)) return 0;
  if (settings.out.empty())
    throw ConfigError(ErrorMessage{"reading the options of 'retort squeeze'",
                                   "missing: --out, the folder of the teacher",
                                   {},
                                   {}});
  const FolderKind kind = teachers::squeeze_folder_kind();
  folder_started(settings.out, settings.options, kind);
  const at::Device device = settings.machine.apply(environment);
  const data::Dataset data = open_data(environment, settings.data);
  const auto network = nets::make_network(settings.squeeze.network,
                                          {data.channels, data.height, data.width, data.classes()});
  const teachers::SqueezeInput input{data,
                                     *network,
                                     settings.squeeze,
                                     device,
                                     static_cast<uint64_t>(settings.data.split_seed),
                                     portable_recipe(settings.options, data.name),
                                     environment.progress(),
                                     environment.stop};
  teachers::check_squeeze(input);
  for (const std::string& note : data.notes) environment.err << "note: " << note << "\n";
  const FolderLock lock(settings.out, kind, false);
  folder_started(settings.out, settings.options, kind);
  open_folder(settings);
  const teachers::SqueezeOutcome outcome = teachers::squeeze(input, settings.out);
  if (outcome.stopped) return say_stopped(environment);
  if (settings.machine.json)
    environment.out << json_text(to_json(settings.out, input, outcome), 2) << "\n";
  else
    environment.out << fmt::format("{}{} {} on {}: {} epochs, accuracy {:.1f} %\nteacher: {}\n",
                                   outcome.made ? "" : "this teacher was finished before\n",
                                   settings.squeeze.objective, network->name(), data.name,
                                   outcome.epochs, 100 * outcome.teacher.validation_accuracy,
                                   teachers::teacher_path(settings.out).string());
  return 0;
}

}  // namespace retort::cli
