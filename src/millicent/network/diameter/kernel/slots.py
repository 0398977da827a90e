"""The AVPs that the loops read or write, by small numbers. Their codes come from the dictionary, by these names."""

SLOT_NAMES = (
    "Session-Id", "Origin-Host", "Origin-Realm", "Destination-Realm", "Destination-Host", "Auth-Application-Id",
    "Service-Context-Id", "CC-Request-Type", "CC-Request-Number", "Event-Timestamp", "User-Name", "Origin-State-Id",
    "Requested-Action", "Multiple-Services-Indicator", "Proxy-Info", "Result-Code", "CC-Session-Failover",
    "Credit-Control-Failure-Handling", "Direct-Debiting-Failure-Handling", "Check-Balance-Result",
    "Subscription-Id", "Subscription-Id-Type", "Subscription-Id-Data",
    "Multiple-Services-Credit-Control", "Requested-Service-Unit", "Used-Service-Unit", "Granted-Service-Unit",
    "Rating-Group", "Service-Identifier", "Reporting-Reason", "Tariff-Change-Usage", "Tariff-Time-Change",
    "CC-Time", "CC-Total-Octets", "CC-Input-Octets", "CC-Output-Octets", "CC-Service-Specific-Units",
    "CC-Money", "Unit-Value", "Value-Digits", "Exponent", "Currency-Code", "Cost-Information",
    "Validity-Time", "Quota-Holding-Time", "Time-Quota-Threshold", "Volume-Quota-Threshold", "Unit-Quota-Threshold",
    "Final-Unit-Indication", "Refund-Information",
    "Service-Information", "PS-Information", "IMS-Information", "SMS-Information", "Recipient-Info",
    "Recipient-Address", "Address-Data", "3GPP-SGSN-MCC-MNC", "3GPP-RAT-Type", "Called-Station-Id", "Role-Of-Node",
    "Calling-Party-Address", "Called-Party-Address", "SM-Message-Type",
)  # fmt: skip

(
    SESSION_ID, ORIGIN_HOST, ORIGIN_REALM, DESTINATION_REALM, DESTINATION_HOST, AUTH_APPLICATION_ID,
    SERVICE_CONTEXT_ID, CC_REQUEST_TYPE, CC_REQUEST_NUMBER, EVENT_TIMESTAMP, USER_NAME, ORIGIN_STATE_ID,
    REQUESTED_ACTION, MULTIPLE_SERVICES_INDICATOR, PROXY_INFO, RESULT_CODE, CC_SESSION_FAILOVER,
    FAILURE_HANDLING, DEBITING_FAILURE_HANDLING, CHECK_BALANCE_RESULT,
    SUBSCRIPTION_ID, SUBSCRIPTION_ID_TYPE, SUBSCRIPTION_ID_DATA,
    MSCC, REQUESTED_SERVICE_UNIT, USED_SERVICE_UNIT, GRANTED_SERVICE_UNIT,
    RATING_GROUP, SERVICE_IDENTIFIER, REPORTING_REASON, TARIFF_CHANGE_USAGE, TARIFF_TIME_CHANGE,
    CC_TIME, CC_TOTAL_OCTETS, CC_INPUT_OCTETS, CC_OUTPUT_OCTETS, CC_SERVICE_SPECIFIC_UNITS,
    CC_MONEY, UNIT_VALUE, VALUE_DIGITS, EXPONENT, CURRENCY_CODE, COST_INFORMATION,
    VALIDITY_TIME, QUOTA_HOLDING_TIME, TIME_QUOTA_THRESHOLD, VOLUME_QUOTA_THRESHOLD, UNIT_QUOTA_THRESHOLD,
    FINAL_UNIT_INDICATION, REFUND_INFORMATION,
    SERVICE_INFORMATION, PS_INFORMATION, IMS_INFORMATION, SMS_INFORMATION, RECIPIENT_INFO,
    RECIPIENT_ADDRESS, ADDRESS_DATA, SGSN_NETWORK, RAT_TYPE, CALLED_STATION_ID, ROLE_OF_NODE,
    CALLING_PARTY_ADDRESS, CALLED_PARTY_ADDRESS, SM_MESSAGE_TYPE,
) = range(1, len(SLOT_NAMES) + 1)  # fmt: skip
