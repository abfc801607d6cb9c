// retort relabel: a teacher's labels of the views that students of a post-training will see.
#include <ostream>

#include "cli/arguments.h"
#include "eval/relabel.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "teachers/fkd.h"

namespace retort::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  retort relabel runs/a --teacher teacher.safetensors --protocol rded\n"
    "  retort relabel runs/a --teacher teacher.safetensors --precision int8 --keep 0.1 --out "
    "small.safetensors\n"
    "  retort eval runs/a --protocol rded --random-baseline=no     # takes the labels of the "
    "run\n\n"
    "A command that was stopped or killed goes on when it is given again, and ends in the same "
    "bytes.\n";

struct Settings {
  eval::RelabelOptions relabel;
  MachineOptions machine;
  std::string target, teacher, out, format = "retort";
  OptionSet options;

  Settings() {
    options.group("Labels");
    options.add("teacher", teacher, "file of the teacher");
    relabel.declare(options);
    options.add("format", format,
                "retort: one mapped file; fkd: a folder epoch_E/batch_B.tar, as SRe2L and CDA read "
                "it",
                {.choices = {"retort", "fkd"}});
    machine.declare(options);
    options.group("Run");
    options.add("out", out, "the file, or folder; empty: labels.safetensors in the run's folder",
                {}, Role::kExecution);
  }
};

std::filesystem::path file_of(const Settings& settings) {
  if (!settings.out.empty()) return settings.out;
  if (std::filesystem::is_directory(settings.target))
    return std::filesystem::path(settings.target) / "labels.safetensors";
  throw ConfigError(ErrorMessage{"reading the options of 'retort relabel'",
                                 "missing: --out, the file of the labels",
                                 "a run's folder in place of a bundle, or --out",
                                 {}});
}

/// True where the file is there and holds just these labels; StateError where it holds others.
bool finished(const std::filesystem::path& path, const teachers::LabelPlan& plan) {
  if (!std::filesystem::exists(path)) return false;
  const teachers::StoredLabels stored(path);
  if (stored.plan().metadata() == plan.metadata()) {
    stored.require_whole();
    return true;
  }
  throw StateError(ErrorMessage{"writing '" + path.string() + "'",
                                "it holds other labels already",
                                {},
                                "choose another --out, or remove it"});
}

void print_result(const Environment& environment, const Settings& settings,
                  const synthetic::Bundle& bundle, const teachers::LabelPlan& plan,
                  const std::filesystem::path& path, bool before) {
  const int64_t bytes = teachers::label_bytes(plan);
  int64_t images = 0;
  for (const auto& [name, size] : bundle.storage())
    if (name != "labels" && name != "soft_labels") images += size;
  if (settings.machine.json) {
    environment.out << json_text(Json{{"out", path.string()},
                                      {"label_bytes", bytes},
                                      {"image_bytes", images},
                                      {"batches", plan.kept().size()},
                                      {"epochs", plan.epochs},
                                      {"views", plan.views.text()},
                                      {"already_finished", before}},
                                 2)
                    << "\n";
    return;
  }
  environment.out << fmt::format(
      "{}labels of {} batches, {} epochs of {} images: {} beside images of {} ({:.3g} times)\n  "
      "views    {}\n  labels   {}\n",
      before ? "these labels were finished before: " : "", plan.kept().size(), plan.epochs,
      plan.images, format_bytes(static_cast<double>(bytes)),
      format_bytes(static_cast<double>(images)),
      static_cast<double>(bytes) / static_cast<double>(images), plan.views.text(), path.string());
}

/// The first process does it alone: each file is one batch's.
int write_folder(const Environment& environment, const Settings& settings,
                 const synthetic::Bundle& bundle, const teachers::LabelPlan& plan,
                 const teachers::LoadedTeacher& teacher) {
  if (settings.out.empty())
    throw ConfigError(ErrorMessage{"reading the options of 'retort relabel'",
                                   "missing: --out, the folder of the labels",
                                   {},
                                   {}});
  if (!environment.group->first()) return 0;
  const at::Device device = teacher.theta.device();
  const auto source = data::tensor_source(bundle.images.to(device), bundle.labels.to(device));
  if (!teachers::write_fkd(settings.out, plan, *source, teacher, environment.progress(),
                           environment.stop))
    return say_stopped(environment);
  const teachers::FkdLabels written(settings.out, bundle.images, bundle.labels, bundle.classes());
  const Json json{{"out", settings.out},
                  {"label_bytes", written.bytes()},
                  {"epochs", written.epochs()},
                  {"batches", written.epochs() * written.batches()},
                  {"agreement", written.agreement()}};
  if (settings.machine.json)
    environment.out << json_text(json, 2) << "\n";
  else
    environment.out << fmt::format(
        "labels of {} batches in {} epochs: {} in {}\nthe teacher sees a class of its view in "
        "{:.1f} "
        "% of the images\n",
        written.epochs() * written.batches(), written.epochs(),
        format_bytes(static_cast<double>(written.bytes())), settings.out,
        100 * written.agreement());
  return 0;
}

}  // namespace

int run_relabel(const Environment& environment, const Arguments& arguments) {
  Settings settings;
  const Usage usage{"relabel", "Stores a teacher's labels of the views that students will see.",
                    kExamples};
  if (!parse(environment, usage, arguments, settings.options,
             {{"bundle", "a run folder or a bundle (.safetensors)", &settings.target, true}}))
    return 0;
  const std::filesystem::path path =
      settings.format == "fkd" ? settings.out : file_of(settings).string();
  const at::Device device = settings.machine.apply(environment);
  const synthetic::Bundle bundle = synthetic::load_bundle(bundle_of(settings.target));
  const teachers::LoadedTeacher teacher = teachers::open_teacher(
      settings.teacher,
      {"labelling '" + settings.target + "'",
       bundle.class_names,
       bundle.preprocessing,
       {bundle.images.size(1), bundle.images.size(2), bundle.images.size(3), bundle.classes()},
       bundle.data_hash,
       bundle.split},
      device);
  const teachers::LabelPlan plan = eval::plan_labels(bundle, settings.relabel, teacher);
  if (settings.format == "fkd") return write_folder(environment, settings, bundle, plan, teacher);
  const bool before = environment.group->agree(finished(path, plan)) != 0;
  if (!before) {
    const auto source = data::tensor_source(bundle.images.to(device), bundle.labels.to(device));
    const train::Views views(*source, plan.views, plan.seed, bundle.preprocessing);
    if (!teachers::write_labels(path, plan, views, teacher, environment.progress(),
                                environment.stop, *environment.group))
      return say_stopped(environment);
  }
  print_result(environment, settings, bundle, plan, path, before);
  return 0;
}

}  // namespace retort::cli
