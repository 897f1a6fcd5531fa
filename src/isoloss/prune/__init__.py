"""Which examples to keep: scores, near-duplicates, selections, at sizes beyond memory."""

from isoloss.prune.cluster_table import ClusterTable, read_clusters, tabulate_clusters
from isoloss.prune.dedup import Deduplicated, default_clusters, find_duplicates
from isoloss.prune.dynamics import Recorder
from isoloss.prune.dynamics_scores import Dynamics, read_dynamics
from isoloss.prune.embeddings import Embeddings, open_embeddings
from isoloss.prune.embeddings_check import Checked, check_embeddings
from isoloss.prune.kmeans import Clusters, fit_kmeans
from isoloss.prune.kmeans_choose import ClusterChoice, choose_clusters
from isoloss.prune.pilots import Pilots, read_pilots
from isoloss.prune.plan import PrunePlan, bytes_needed, plan_pruning
from isoloss.prune.prototypes import ClassMeans, PrototypeScores, class_means, score_prototypes
from isoloss.prune.prototypes_folder import read_prototype_scores, write_prototype_scores
from isoloss.prune.scores_checks import softmax
from isoloss.prune.scores_embeddings import (
    cluster_complexity,
    score_moderate,
    score_point_value,
)
from isoloss.prune.scores_errors import margin, score_el2n, score_grand, score_margin
from isoloss.prune.scores_format import read_scores, write_scores
from isoloss.prune.scores_graph import neighbour_graph, score_d2
from isoloss.prune.scores_result import Scores
from isoloss.prune.scores_subsets import score_influence, score_memorization
from isoloss.prune.scores_training import (
    score_aum,
    score_disagreement,
    score_forgetting,
    score_misclassified,
    score_votes,
)
from isoloss.prune.select_allocate import ClusterBudgets, allocate_clusters
from isoloss.prune.select_output import write_selection
from isoloss.prune.select_policy import ByCluster, Easy, Hard, Middle, Random, Stratified
from isoloss.prune.select_result import Selection
from isoloss.prune.selection import select
from isoloss.prune.verdict import judge_metrics, judge_pilots
from isoloss.prune.verdict_result import Verdict

__all__ = [
    "ByCluster",
    "Checked",
    "ClassMeans",
    "ClusterBudgets",
    "ClusterChoice",
    "ClusterTable",
    "Clusters",
    "Deduplicated",
    "Dynamics",
    "Easy",
    "Embeddings",
    "Hard",
    "Middle",
    "Pilots",
    "PrototypeScores",
    "PrunePlan",
    "Random",
    "Recorder",
    "Scores",
    "Selection",
    "Stratified",
    "Verdict",
    "allocate_clusters",
    "bytes_needed",
    "check_embeddings",
    "choose_clusters",
    "class_means",
    "cluster_complexity",
    "default_clusters",
    "find_duplicates",
    "fit_kmeans",
    "judge_metrics",
    "judge_pilots",
    "margin",
    "neighbour_graph",
    "open_embeddings",
    "plan_pruning",
    "read_clusters",
    "read_dynamics",
    "read_pilots",
    "read_prototype_scores",
    "read_scores",
    "score_aum",
    "score_d2",
    "score_disagreement",
    "score_el2n",
    "score_forgetting",
    "score_grand",
    "score_influence",
    "score_margin",
    "score_memorization",
    "score_misclassified",
    "score_moderate",
    "score_point_value",
    "score_prototypes",
    "score_votes",
    "select",
    "softmax",
    "tabulate_clusters",
    "write_prototype_scores",
    "write_scores",
    "write_selection",
]
