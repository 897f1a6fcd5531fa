"""Which examples to keep: scores from embeddings, near-duplicates, at sizes beyond memory."""

from isoloss.prune.dedup import Deduplicated, default_clusters, find_duplicates
from isoloss.prune.embeddings import Embeddings, open_embeddings
from isoloss.prune.embeddings_check import Checked, check_embeddings
from isoloss.prune.kmeans import Clusters, fit_kmeans
from isoloss.prune.plan import PrunePlan, bytes_needed, plan_pruning
from isoloss.prune.prototypes import ClassMeans, PrototypeScores, class_means, score_prototypes
from isoloss.prune.prototypes_folder import read_prototype_scores, write_prototype_scores

__all__ = [
    "Checked",
    "ClassMeans",
    "Clusters",
    "Deduplicated",
    "Embeddings",
    "PrototypeScores",
    "PrunePlan",
    "bytes_needed",
    "check_embeddings",
    "class_means",
    "default_clusters",
    "find_duplicates",
    "fit_kmeans",
    "open_embeddings",
    "plan_pruning",
    "read_prototype_scores",
    "score_prototypes",
    "write_prototype_scores",
]
