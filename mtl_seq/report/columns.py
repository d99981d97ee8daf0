"""The figures a reader wants first, and what the table calls them; spaces stand in the names."""

__all__ = ["LOG_COLUMNS", "TRUTH_COLUMNS"]

TRUTH_COLUMNS = {
    "relative bias, all": ("pcvr", "all", "relative_bias"),
    "relative bias, clicks": ("pcvr", "clicks", "relative_bias"),
    "relative bias, non-clicks": ("pcvr", "non-clicks", "relative_bias"),
    "AUC, all": ("pcvr", "all", "auc"),
    "AUC, clicks": ("pcvr", "clicks", "auc"),
    "log loss, all": ("pcvr", "all", "log_loss"),
    "RMSE, all": ("pcvr", "all", "rmse"),
    "ECE, all": ("pcvr", "all", "ece"),
    "PCOC, clicks": ("pcvr", "clicks", "pcoc"),
}
LOG_COLUMNS = {
    "CTR AUC, all": ("pctr", "all", "auc"),
    "CTR PCOC, all": ("pctr", "all", "pcoc"),
    "CVR AUC, clicks": ("pcvr", "clicks", "auc"),
    "CVR PCOC, clicks": ("pcvr", "clicks", "pcoc"),
    "CVR ECE, clicks": ("pcvr", "clicks", "ece"),
    "CTCVR AUC, all": ("pctcvr", "all", "auc"),
    "CTCVR PCOC, all": ("pctcvr", "all", "pcoc"),
    "CTCVR log loss, all": ("pctcvr", "all", "log_loss"),
}
